{{/*
A policy and its binding for Connectors or ConnectorClasses. Called with a dict: root and resource.

Whoever changes one answers for the whole of it, as if they had written it; what changes nothing that counts, such as a
label, passes. Deleting one gives nothing to anybody. What may get a request or a credential is a list of texts:
NAMESPACE/NAME of a Service, or a host. No expression has more than one authorizer check, because of what an expression may
cost; so the list is judged one by one, and a long one as a whole.
*/}}
{{- define "genkan.connectorPolicy" -}}
{{- $name := printf "%s-%s" (include "genkan.name" .root) .resource -}}
{{- $isClass := eq .resource "connectorclasses" -}}
{{- $external := printf "authorizer.group(\"connectors.alauda.io\").resource(%q)" .resource -}}
{{- $role := "; a ClusterRole" -}}
{{- if not $isClass -}}
{{- $external = printf "%s.namespace(request.namespace)" $external -}}
{{- $role = "; a Role in namespace \" + request.namespace + \"" -}}
{{- end -}}
{{- $most := 8 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "genkan.labels" (list .root "policies") | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [connectors.alauda.io]
        apiVersions: ["*"]
        operations: [CREATE, UPDATE]
        resources: [{{ .resource }}]
  matchConditions:
    # Annotations of ours say how a tool is spoken to.
    - name: what-counts-changes
      expression: >-
        request.operation != "UPDATE" || object.?spec != oldObject.?spec
        || dyn(object).?metadata.?annotations.orValue({}).exists(key, key.startsWith("genkan.io/")
        && dyn(object).metadata.annotations[key] != dyn(oldObject).?metadata.?annotations[?key].orValue(""))
  variables:
    - name: spec
      expression: 'dyn(object).?spec.orValue({})'
    {{- if $isClass }}
    {{- include "genkan.classVariables" . | nindent 4 }}
    {{- else }}
    {{- include "genkan.connectorVariables" . | nindent 4 }}
    {{- end }}
    # Between the slashes and the path.
    - name: authorities
      expression: >-
        variables.urls.filter(url, type(url) == string && url != "")
        .map(url, (url.lowerAscii().find("^([a-z]+:)?//[^/?#]*") + "//").split("//")[1])
        .map(authority, authority.substring(authority.lastIndexOf("@") + 1))
    - name: hosts
      expression: >-
        variables.authorities.map(authority, authority.startsWith("[")
        ? authority.find("^\\[[^\\]]*").substring(1) : authority.find("^[^:]*"))
    # name.namespace.svc is a Service, whatever follows.
    - name: rest0
      expression: >-
        variables.services + variables.hosts.map(host, host.matches("^[^.]+\\.[^.]+\\.svc(\\.|$)")
        ? host.split(".")[1] + "/" + host.split(".")[0] : host)
    {{- range $index := until $most }}
    - name: rest{{ add1 $index }}
      expression: 'variables.rest{{ $index }}.filter(one, one != variables.rest{{ $index }}[0])'
    {{- end }}
    - name: isLong
      expression: 'variables.rest{{ $most }}.size() > 0'
  validations:
    {{- if $isClass }}
    {{- include "genkan.classValidations" . | nindent 4 }}
    {{- else }}
    {{- include "genkan.connectorValidations" . | nindent 4 }}
    {{- end }}
    {{- range $index := until $most }}
    {{- $one := printf "variables.rest%d[0]" $index }}
    - expression: >-
        variables.rest{{ $index }}.size() == 0 || variables.isLong || ({{ $one }}.contains("/")
        ? authorizer.group("").resource("services").namespace({{ $one }}.split("/")[0]).name({{ $one }}.split("/")[1]).check("route")
        : {{ $external }}.name({{ $one }}).check("external")).allowed()
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + ({{ $one }}.contains("/") ? " may not route to Service " + {{ $one }}
        + "; a Role in namespace " + {{ $one }}.split("/")[0] + " allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"" + {{ $one }}.split("/")[1] + "\"], verbs: [route]}"
        : " may not connect to the host " + {{ $one }} + ", which is no Service of this cluster{{ $role }} allows it with the rule {apiGroups: [connectors.alauda.io], resources: [{{ $.resource }}], resourceNames: [\"" + {{ $one }} + "\"], verbs: [external]}")
    {{- end }}
    - expression: '!variables.isLong || variables.rest0.all(one, one.contains("/")) || {{ $external }}.check("external").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not connect to any host, which naming more than {{ $most }} takes
        {{- $role }} allows it with the rule {apiGroups: [connectors.alauda.io], resources: [{{ .resource }}], verbs: [external]}"
    - expression: '!variables.isLong || !variables.rest0.exists(one, one.contains("/")) || authorizer.group("").resource("services").check("route").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not route to any Service, which naming more than {{ $most }} takes; a ClusterRole
        allows it with the rule {apiGroups: [\"\"], resources: [services], verbs: [route]}"
---
{{ include "genkan.policyBinding" (dict "root" .root "name" $name) }}
{{- end -}}

{{/* What a Connector names. */}}
{{- define "genkan.connectorVariables" -}}
- name: urls
  expression: '[variables.spec.?address.orValue("")] + variables.spec.?addressExtensions.orValue([]).map(one, one.?value.orValue(""))'
- name: services
  expression: '[]'
- name: secret
  expression: 'optional.ofNonZeroValue(variables.spec.?auth.?secretRef.?name.orValue("")).orValue("")'
- name: secretNamespace
  expression: 'optional.ofNonZeroValue(variables.spec.?auth.?secretRef.?namespace.orValue("")).orValue("")'
- name: certificates
  expression: 'optional.ofNonZeroValue(variables.spec.?caCertSecretRef.?name.orValue("")).orValue("")'
{{- end -}}

{{/* Otherwise a Connector would show every Secret of its namespace to whoever may write one. */}}
{{- define "genkan.connectorValidations" -}}
- expression: 'variables.secretNamespace == "" || variables.secretNamespace == request.namespace'
  reason: Invalid
  messageExpression: >-
    "spec.auth.secretRef.namespace is " + variables.secretNamespace + ", and only a Secret of the Connector's own namespace is used; leave the namespace out"
{{- range list "secret" "certificates" }}
- expression: 'variables.{{ . }} == "" || authorizer.group("").resource("secrets").namespace(request.namespace).name(variables.{{ . }}).check("get").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not use Secret " + request.namespace + "/" + variables.{{ . }} + "; a Role in namespace " + request.namespace
    + " allows it with the rule {apiGroups: [\"\"], resources: [secrets], resourceNames: [\"" + variables.{{ . }} + "\"], verbs: [get]}"
{{- end }}
{{- end -}}

{{/* What a ConnectorClass names, at every place from which a request or a credential may follow it. */}}
{{- define "genkan.classVariables" -}}
- name: extensions
  expression: 'variables.spec.?addressExtensions.orValue([])'
# Addresses of Connectors that give none.
- name: defaults
  expression: '([variables.spec.?address.orValue({})] + variables.extensions).map(one, one.?default.orValue("")).filter(one, one != null && one != "")'
- name: tokens
  expression: 'variables.spec.?auth.?types.orValue([]).map(one, one.?generator.?oauth2.?tokenURL.orValue(""))'
- name: probed
  expression: >-
    (variables.spec.?authProbes.orValue([]).map(one, one.?probe.?http.?host.orValue("")) + [variables.spec.?livenessProbe.?http.?host.orValue("")])
    .filter(host, host != null && host != "").map(host, "http://" + host)
- name: paths
  expression: '[variables.spec.?api.?openapi.?paths.orValue({})].filter(paths, type(paths) == map)'
# Of every operation. The description has no schema, so nothing is taken for granted.
- name: operations
  expression: >-
    variables.paths.map(paths, paths.map(path, type(paths[path]) == map, paths[path].map(method, type(paths[path][method]) == map
    && "x-openapi-address" in paths[path][method], paths[path][method]["x-openapi-address"]).filter(one, one != null && one != "")))
- name: addresses
  expression: >-
    variables.operations.exists(paths, paths.exists(path, path.exists(one, type(one) != string))) ? ["?"]
    : variables.operations.map(paths, paths.map(path, path.join("\n")).join("\n")).join("\n").split("\n").filter(one, one != "")
- name: urls
  expression: >-
    variables.defaults + variables.tokens + variables.probed + variables.addresses.filter(one, one.contains(":"))
    + [variables.spec.?api.?uri.orValue(""), variables.spec.?proxy.?uri.orValue("")].filter(uri, type(uri) == string && uri.contains("//"))
# The built-in proxy is nobody's own.
- name: proxyPath
  expression: 'optional.ofNonZeroValue(variables.spec.?proxy.?uri.orValue("")).orValue("/")'
{{- range list "api" "proxy" }}
- name: {{ . }}Services
  expression: >-
    [variables.spec.?{{ . }}.?ref.orValue(null)].filter(one, one != null)
    .map(one, optional.ofNonZeroValue(one.?namespace.orValue("")).orValue("") + "/" + optional.ofNonZeroValue(one.?name.orValue("")).orValue(""))
    .filter(one, !one.startsWith("/") && !one.endsWith("/"))
{{- end }}
- name: services
  expression: >-
    variables.apiServices + variables.proxyServices.filter(one, one != "connectors-system/connectors-proxy-service" || variables.proxyPath != "/")
{{- end -}}

{{/* What the schema cannot see, so that every host is known. */}}
{{- define "genkan.classValidations" -}}
{{- $url := "matches(r\"^(?i)https?://([0-9a-z._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?(/[^?#\\x00-\\x20\\x7f\\\\]*)?$\")" -}}
- expression: 'variables.defaults.all(one, type(one) == string && one.{{ $url }})'
  reason: Invalid
  message: a default of spec.address or spec.addressExtensions is no address; write a URL without user info, query and fragment, such as https://git.example.com
- expression: 'variables.addresses.all(one, variables.extensions.exists(extension, extension.name == one && !one.contains(":")) || one.{{ $url }})'
  reason: Invalid
  message: an x-openapi-address of spec.api.openapi is neither the name of an address extension of the class nor a URL without user info, query and fragment
- expression: 'variables.spec.?proxy.?forwardAuthorization.orValue(false) != true || authorizer.group("").resource("users").check("impersonate").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not set forwardAuthorization, which hands callers' credentials to the proxy"
    + "; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}"
{{- end -}}
