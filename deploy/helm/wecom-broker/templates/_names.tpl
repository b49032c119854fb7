{{- define "wecom-broker.selector" -}}
app.kubernetes.io/name: wecom-broker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "wecom-broker.labels" -}}
{{ include "wecom-broker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "wecom-broker.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}
