{{- define "driver.webhookName" -}}{{ include "driver.fullname" . }}-webhook{{- end -}}

{{- define "driver.webhookSelector" -}}
{{ include "driver.selectorLabels" . }}
app.kubernetes.io/component: webhook
{{- end -}}

{{- define "driver.webhookLabels" -}}
{{ include "driver.labels" . }}
app.kubernetes.io/component: webhook
{{- end -}}

{{- /* Not the selector's: the Service must not send reviews to the job. */ -}}
{{- define "driver.webhookJobLabels" -}}
{{ include "driver.labels" . }}
app.kubernetes.io/component: webhook-certificate
{{- end -}}

{{- define "driver.webhookAccount" -}}
{{- $account := .Values.webhook.serviceAccount -}}
{{- if $account.create -}}{{ default (include "driver.webhookName" .) $account.name }}{{- else -}}{{ default "default" $account.name }}{{- end -}}
{{- end -}}

{{- define "driver.webhookImage" -}}
{{- $image := .Values.webhook.image -}}
{{- $tag := default (default .Chart.AppVersion .Values.image.tag) $image.tag -}}
{{- if $image.repository -}}
{{ printf "%s:%s" $image.repository $tag }}
{{- else if .Values.image.repository -}}
{{ printf "%s-webhook:%s" .Values.image.repository $tag }}
{{- else -}}
{{- fail "webhook.image.repository: expected the repository that you pushed the webhook's image to, found nothing; set it, or image.repository" -}}
{{- end -}}
{{- end -}}

{{- define "driver.webhookSecret" -}}
{{- $tls := .Values.webhook.tls -}}
{{- if and (eq $tls.mode "secret") (not $tls.secretName) -}}
{{- fail "webhook.tls.secretName: expected the Secret that has tls.crt and tls.key, found nothing; set it, or webhook.tls.mode=self-managed" -}}
{{- end -}}
{{- if and (eq $tls.mode "secret") (not $tls.caBundle) -}}
{{- fail "webhook.tls.caBundle: expected the PEM of the authority of webhook.tls.secretName, found nothing; set it by --set-file webhook.tls.caBundle=FILE" -}}
{{- end -}}
{{- default (printf "%s-tls" (include "driver.webhookName" .)) $tls.secretName -}}
{{- end -}}

{{- define "driver.webhookPodSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "driver.noPrivilege" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end -}}

{{- define "driver.webhookHook" -}}
helm.sh/hook: pre-install,pre-upgrade,pre-rollback,post-install,post-upgrade,post-rollback
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "driver.nonrootRule" -}}
- apiGroups: [security.openshift.io]
  resources: [securitycontextconstraints]
  resourceNames: [nonroot-v2]
  verbs: [use]
{{- end -}}
