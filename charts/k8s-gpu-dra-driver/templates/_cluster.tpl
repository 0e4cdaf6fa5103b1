{{- /* What the cluster serves decides. */ -}}

{{- /* "true" or nothing, of a switch that is auto, true or false: (list CONTEXT SWITCH API). */ -}}
{{- define "driver.on" -}}
{{- $context := index . 0 -}}
{{- $switch := index . 1 | toString -}}
{{- if or (eq $switch "true") (and (eq $switch "auto") ($context.Capabilities.APIVersions.Has (index . 2))) -}}true{{- end -}}
{{- end -}}

{{- /* The version of resource.k8s.io for what the chart makes: the newest that is served. */ -}}
{{- define "driver.resourceVersion" -}}
{{- $apis := .Capabilities.APIVersions -}}
{{- /* Without a cluster, Helm takes all versions that it knows for served. */ -}}
{{- $kubernetes := .Capabilities.KubeVersion.Version -}}
{{- if and ($apis.Has "resource.k8s.io/v1") (semverCompare ">=1.34.0-0" $kubernetes) -}}v1
{{- else if and ($apis.Has "resource.k8s.io/v1beta2") (semverCompare ">=1.33.0-0" $kubernetes) -}}v1beta2
{{- else if $apis.Has "resource.k8s.io/v1beta1" -}}v1beta1
{{- else -}}
{{- fail "resource.k8s.io: expected a cluster that serves v1, v1beta2 or v1beta1, found none of them; turn on Dynamic Resource Allocation (before Kubernetes 1.34: --feature-gates=DynamicResourceAllocation=true and --runtime-config=resource.k8s.io/v1beta1=true)" -}}
{{- end -}}
{{- end -}}

{{- /* A class's extended resource, where the cluster knows the field: (list CONTEXT NAME). */ -}}
{{- define "driver.extendedResource" -}}
{{- if and (index . 1) (semverCompare ">=1.34.0-0" (index . 0).Capabilities.KubeVersion.Version) -}}
extendedResourceName: {{ index . 1 }}
{{- end -}}
{{- end -}}

{{- /* Nothing; fails where another class has the extended resource already, since the scheduler takes the newest class of
a name, which may be a fraction for who asks for a GPU: (list TAKEN MODE NAME), with TAKEN: name -> value that has it. */ -}}
{{- define "driver.takeResource" -}}
{{- $taken := index . 0 -}}
{{- $path := printf "deviceClass.modes.%s.extendedResourceName" (index . 1) -}}
{{- with index . 2 -}}
{{- if hasKey $taken . -}}
{{- fail (printf "%s: expected a name that no other class has, found %s, which %s has too; give one of them another name, or none" $path . (get $taken .)) -}}
{{- end -}}
{{- $_ := set $taken . $path -}}
{{- end -}}
{{- end -}}

{{- define "driver.metricsOn" -}}
{{- if gt (int .Values.kubeletPlugin.containers.plugin.metricsPort) 0 -}}true{{- end -}}
{{- end -}}

{{- /* "true" or nothing, of a switch of monitoring: (list CONTEXT NAME). */ -}}
{{- define "driver.monitoringOn" -}}
{{- $context := index . 0 -}}
{{- $switch := (index $context.Values.monitoring (index . 1)).enabled -}}
{{- $metrics := include "driver.metricsOn" $context -}}
{{- if and (eq (toString $switch) "true") (not $metrics) -}}
{{- fail (printf "monitoring.%s.enabled: expected metrics to be on, found kubeletPlugin.containers.plugin.metricsPort=-1; set it to a port such as 9400" (index . 1)) -}}
{{- end -}}
{{- if $metrics -}}{{- include "driver.on" (list $context $switch "monitoring.coreos.com/v1") -}}{{- end -}}
{{- end -}}
