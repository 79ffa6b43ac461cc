{{/*
The published kinds, as YAML: their resource, and in CEL, of the specification `variables.spec`, where it publishes (path),
what holds url and service (endpoint), and the items of headerUp where the kind has them (headers).
*/}}
{{- define "genkan.kinds" -}}
- resource: reverseproxies
  path: variables.spec.?matcher.?path.orValue('')
  endpoint: variables.spec.?upstream.orValue({})
  headers: variables.spec.?directives.?headerUp.orValue(null)
- resource: apiservices
  path: "!has(variables.spec.version) ? '' : (variables.spec.?group.orValue('') == '' ? '/kapi/' : '/kapis/' + variables.spec.group + '/') + variables.spec.version"
  endpoint: variables.spec
{{- end -}}

{{/* Their resources as a list in YAML; called with what stands behind each, such as /status. */}}
{{- define "genkan.resources" -}}
{{- $behind := . -}}
{{- $resources := list -}}
{{- range include "genkan.kinds" "" | fromYamlArray -}}
{{- $resources = append $resources (printf "%s%s" .resource $behind) -}}
{{- end -}}
[{{ join ", " $resources }}]
{{- end -}}
