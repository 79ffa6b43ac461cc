{{/* Name of the release's objects; those of the programs have -operator or -dataplane behind it. */}}
{{- define "genkan.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the Pods of a program; called with (list . "operator"). */}}
{{- define "genkan.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: genkan
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object; called with (list . "operator"). */}}
{{- define "genkan.labels" -}}
{{- $root := index . 0 -}}
{{ include "genkan.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Image of a program; called with (list . .Values.operator.image). */}}
{{- define "genkan.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := printf "%s/%s" $root.Values.image.registry $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Where and how a Pod runs; called with (list . .Values.operator). */}}
{{- define "genkan.placement" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $program.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "genkan.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A token for the API server at the place where client libraries look, and nothing else: what the kubelet would mount by itself, but for this program only. */}}
{{- define "genkan.apiServerToken" -}}
name: api-server
projected:
  defaultMode: 0440
  sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap:
        name: kube-root-ca.crt
        items: [{key: ca.crt, path: ca.crt}]
    - downwardAPI:
        items:
          - path: namespace
            fieldRef: {fieldPath: metadata.namespace}
{{- end -}}

{{/* Egress that both programs need: DNS and the API server, which no selector reaches. */}}
{{- define "genkan.commonEgress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* Secrets that the operator makes, as a YAML array. */}}
{{- define "genkan.ownSecrets" -}}
- genkan-hash-key
{{- if not .Values.stream.existingSecret }}
- genkan-stream
- genkan-stream-ca
{{- end }}
{{- if not .Values.proxyClient.existingSecret }}
- genkan-proxy-client
- genkan-proxy-client-ca
{{- end }}
{{- end -}}

{{/* An address as it stands before a port. */}}
{{- define "genkan.listenAddress" -}}
{{- if contains ":" .Values.listenAddress }}[{{ .Values.listenAddress }}]{{ else }}{{ .Values.listenAddress }}{{ end -}}
{{- end -}}
