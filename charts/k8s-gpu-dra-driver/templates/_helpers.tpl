{{- define "driver.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "driver.namespace" -}}
{{- $namespace := default .Release.Namespace .Values.namespaceOverride -}}
{{- if and (eq $namespace "default") (not .Values.allowDefaultNamespace) -}}
{{- fail "namespace: expected one of its own for the driver, found 'default'; install with --namespace amd-gpu --create-namespace, or set allowDefaultNamespace=true" -}}
{{- end -}}
{{- $namespace -}}
{{- end -}}

{{- define "driver.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository: expected the repository that you pushed the image to, found nothing; set image.repository, for example --set image.repository=REGISTRY/REPOSITORY" -}}
{{- end -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "driver.selectorLabels" -}}
{{- if .Values.selectorLabelsOverride -}}
{{- toYaml .Values.selectorLabelsOverride -}}
{{- else -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- end -}}

{{- define "driver.labels" -}}
{{ include "driver.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "driver.pluginSelector" -}}
{{ include "driver.selectorLabels" . }}
app.kubernetes.io/component: kubeletplugin
{{- end -}}

{{- define "driver.pluginLabels" -}}
{{ include "driver.labels" . }}
app.kubernetes.io/component: kubeletplugin
{{- end -}}

{{- define "driver.testLabels" -}}
{{ include "driver.labels" . }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "driver.testHook" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "driver.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "driver.fullname" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- /* What is mounted to have sysfs: of a fake tree the folder above it, so that a fake kernel that is mounted anew is
seen. */ -}}
{{- define "driver.sysfsMount" -}}
{{- $path := clean .Values.kubeletPlugin.sysfsPath -}}
{{- if eq $path "/sys" -}}{{ $path }}{{- else -}}{{ dir $path }}{{- end -}}
{{- end -}}

{{- /* What the plugin may do. On real GPUs KFD shows a device only to a process whose devices cgroup allows its render
node (kfd_topology.c); no container of an ordinary pod has that, so it is privileged there. On a fake tree it is not. */ -}}
{{- define "driver.securityContext" -}}
{{- $plugin := .Values.kubeletPlugin -}}
{{- if $plugin.containers.plugin.securityContext -}}
{{- toYaml $plugin.containers.plugin.securityContext -}}
{{- else if eq (clean $plugin.sysfsPath) "/sys" -}}
privileged: true
readOnlyRootFilesystem: true
{{- else -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- end -}}

{{- /* How pods are replaced. Where nothing is said, the new pod is ready before the old one goes; kubelets before 1.33
cannot have two. The pods use neither the node's network nor ports of it, so two of them fit on a node. */ -}}
{{- define "driver.updateStrategy" -}}
{{- $strategy := deepCopy .Values.kubeletPlugin.updateStrategy -}}
{{- if and (eq $strategy.type "RollingUpdate") (not $strategy.rollingUpdate) (semverCompare ">=1.33.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $_ := set $strategy "rollingUpdate" (dict "maxSurge" 1 "maxUnavailable" 0) -}}
{{- end -}}
{{- toYaml $strategy -}}
{{- end -}}

{{- /* Not empty if two pods may run on a node: each then has sockets of its own. */ -}}
{{- define "driver.sideBySide" -}}
{{- $strategy := include "driver.updateStrategy" . | fromYaml -}}
{{- $surge := dig "rollingUpdate" "maxSurge" 0 $strategy | toString | trimSuffix "%" -}}
{{- if and (eq $strategy.type "RollingUpdate") (ne $surge "0") -}}true{{- end -}}
{{- end -}}

{{- /* Whether compute modes may be switched: the gate under its own name or that of AMD's driver. */ -}}
{{- define "driver.dynamic" -}}
{{- $gates := default (dict) .Values.featureGates -}}
{{- and (or (get $gates "DynamicPartitioning") (get $gates "AutoPartition")) (ne .Values.kubeletPlugin.repartition "off") -}}
{{- end -}}

{{- /* Values that cannot work are refused here, before anything is installed. */ -}}
{{- define "driver.check" -}}
{{- $plugin := .Values.kubeletPlugin -}}
{{- if eq (int $plugin.containers.plugin.healthcheckPort) 0 -}}
{{- fail "kubeletPlugin.containers.plugin.healthcheckPort: expected a port from 1 to 65535 that probes can name, or -1 for no health checks, found 0" -}}
{{- end -}}
{{- if eq (int $plugin.containers.plugin.metricsPort) 0 -}}
{{- fail "kubeletPlugin.containers.plugin.metricsPort: expected a port from 1 to 65535, or -1 for no metrics, found 0" -}}
{{- end -}}
{{- if and (or $plugin.idleMode (eq $plugin.repartition "per-gpu")) (ne (include "driver.dynamic" .) "true") -}}
{{- fail "kubeletPlugin.idleMode and kubeletPlugin.repartition=per-gpu: expected featureGates.DynamicPartitioning=true beside them; set the gate, or leave them out" -}}
{{- end -}}
{{- if not (has $plugin.deviceNames (list "pci" "amd")) -}}
{{- fail (printf "kubeletPlugin.deviceNames: expected pci or amd, found %q" $plugin.deviceNames) -}}
{{- end -}}
{{- $gates := default (dict) .Values.featureGates -}}
{{- if and (eq $plugin.deviceNames "amd") (or (get $gates "DynamicPartitioning") (get $gates "AutoPartition")) -}}
{{- fail "kubeletPlugin.deviceNames: expected pci beside featureGates.DynamicPartitioning, found amd; leave one of the two out, a partition that does not exist yet has no such name" -}}
{{- end -}}
{{- if and $plugin.allowFakeDeviceNodes (eq (clean $plugin.devPath) "/dev") -}}
{{- fail "kubeletPlugin.allowFakeDeviceNodes: expected kubeletPlugin.devPath to name a fake tree, found /dev; set devPath, or allowFakeDeviceNodes=false" -}}
{{- end -}}
{{- end -}}
