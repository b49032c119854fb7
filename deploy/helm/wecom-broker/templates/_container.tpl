{{- /* What the broker's container is in both modes. */ -}}
{{- define "wecom-broker.container" -}}
name: broker
image: {{ include "wecom-broker.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - { name: WECOM_BROKER_CONFIG, value: /etc/wecom-broker/config/broker.toml }
  {{- with .Values.tracing }}{{ if .enabled }}
  - name: OTEL_EXPORTER_OTLP_ENDPOINT
    value: {{ .endpoint | quote }}
  {{- with .env }}{{ toYaml . | nindent 2 }}{{ end }}
  {{- end }}{{ end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsUser: 10001
  runAsGroup: 10001
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
# Folders, no `subPath`: the broker sees that a file has changed, and reads it anew.
volumeMounts:
  - { name: config, mountPath: /etc/wecom-broker/config, readOnly: true }
  - { name: secrets, mountPath: /etc/wecom-broker/secrets, readOnly: true }
  - { name: run, mountPath: /run/wecom-broker }
  - { name: tmp, mountPath: /tmp }
{{- end -}}

{{- define "wecom-broker.volumes" -}}
- name: config
  configMap: { name: {{ .Release.Name }} }
- name: secrets
  secret: { secretName: {{ .Values.secretName }}, defaultMode: 0440 }
- name: run
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 16Mi }
{{- end -}}

{{- define "wecom-broker.fleet" -}}
containers:
  - {{- include "wecom-broker.container" . | nindent 4 }}
      - { name: tls, mountPath: /etc/wecom-broker/tls, readOnly: true }
    ports:
      - { name: grpc, containerPort: 50051 }
      - { name: http, containerPort: 8080 }
    # By HTTP: the kubelet's gRPC probe knows no TLS. The same health as grpc.health.v1 is behind both.
    startupProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 1
      failureThreshold: 60
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 2
      failureThreshold: 2
    livenessProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    lifecycle:
      # Until all clients' DNS has forgotten this pod (Kubernetes 1.30 or newer).
      preStop: { sleep: { seconds: 5 } }
volumes:
  {{- include "wecom-broker.volumes" . | nindent 2 }}
  - name: tls
    secret: { secretName: {{ .Values.fleet.tlsSecretName }}, defaultMode: 0440 }
{{- end -}}

{{- /* An init container that goes on: the service starts once the socket is there, and ends before the broker. */ -}}
{{- define "wecom-broker.sidecar" -}}
initContainers:
  - {{- include "wecom-broker.container" . | nindent 4 }}
    restartPolicy: Always
    # Started is whoever listens: without WeCom the broker is not ready, and the service must start all the same.
    startupProbe:
      exec: { command: [test, -S, /run/wecom-broker/broker.sock] }
      periodSeconds: 1
      failureThreshold: 60
    livenessProbe:
      exec:
        command: [python, -I, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8089/livez', timeout=4)"]
      periodSeconds: 30
      timeoutSeconds: 5
      failureThreshold: 3
containers: {{- toYaml .Values.sidecar.containers | nindent 2 }}
volumes:
  {{- include "wecom-broker.volumes" . | nindent 2 }}
  {{- with .Values.sidecar.volumes }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end -}}
