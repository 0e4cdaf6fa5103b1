{{- /* Which nodes get the plugin. A user's nodeAffinity counts alone; else kubeletPlugin.onlyOn says it. Labels are those
of Node Feature Discovery: of the rules of AMD's GPU Operator, and of its own for PCI devices of vendor 1002 (display
controllers and processing accelerators) in both forms. A node that has none of the labels that it puts on every node is
one that it does not look at. */ -}}
{{- define "driver.affinity" -}}
{{- $plugin := .Values.kubeletPlugin -}}
{{- $affinity := deepCopy $plugin.affinity -}}
{{- $fake := ne (clean $plugin.sysfsPath) "/sys" -}}
{{- if not (or (hasKey $affinity "nodeAffinity") (eq $plugin.onlyOn "all") (and $fake (eq $plugin.onlyOn "auto"))) -}}
{{- $terms := list -}}
{{- range list "amd-gpu" "amd-vgpu" "pci-1002.present" "pci-0300_1002.present" "pci-0302_1002.present" "pci-0380_1002.present" "pci-1200_1002.present" -}}
{{- $has := dict "key" (printf "feature.node.kubernetes.io/%s" .) "operator" "In" "values" (list "true") -}}
{{- $terms = append $terms (dict "matchExpressions" (list $has)) -}}
{{- end -}}
{{- if eq $plugin.onlyOn "auto" -}}
{{- $none := list -}}
{{- range list "kernel-version.full" "system-os_release.ID" "cpu-model.vendor_id" -}}
{{- $none = append $none (dict "key" (printf "feature.node.kubernetes.io/%s" .) "operator" "DoesNotExist") -}}
{{- end -}}
{{- $terms = append $terms (dict "matchExpressions" $none) -}}
{{- end -}}
{{- $_ := set $affinity "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms)) -}}
{{- end -}}
{{- if $affinity -}}{{- toYaml $affinity -}}{{- end -}}
{{- end -}}
