{{/*
A policy and its binding for one kind. Called with a dict: root, and what _kinds.tpl says of it.

Whoever changes what is served answers for the whole of it, as if they had written it; what changes nothing that is
served, such as a label or a finalizer, passes. Statuses are a subresource, which no rule here matches. No expression has
more than one authorizer check: a third would exceed what an expression may cost.
*/}}
{{- define "genkan.policy" -}}
{{- $name := printf "%s-%s" (include "genkan.name" .root) .resource -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "genkan.labels" (list .root "policies") | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [extensions.kubesphere.io]
        apiVersions: ["*"]
        operations: [CREATE, UPDATE, DELETE]
        resources: [{{ .resource }}]
  matchConditions:
    - name: what-is-served-changes
      expression: >-
        request.operation != "UPDATE" || object.?spec != oldObject.?spec
        || object.?metadata.?labels[?"kubesphere.io/reverse-proxy-target"] != oldObject.?metadata.?labels[?"kubesphere.io/reverse-proxy-target"]
        || dyn(object).?metadata.?ownerReferences.orValue([]).exists(r, !(r in dyn(oldObject).?metadata.?ownerReferences.orValue([])))
    # Garbage collection deletes what the owner's deletion has decided; so whoever gives an object an owner needs the right
    # to delete it.
    - name: not-garbage-collection
      expression: >-
        request.operation != "DELETE" || !("system:serviceaccounts:kube-system" in request.userInfo.?groups.orValue([])
        || request.userInfo.?username.orValue("") == "system:kube-controller-manager")
  variables:
    - name: spec
      expression: 'request.operation == "DELETE" ? {} : dyn(object).?spec.orValue({})'
    - name: oldSpec
      expression: 'request.operation == "CREATE" ? {} : dyn(oldObject).?spec.orValue({})'
    - name: path
      expression: {{ .path | quote }}
    - name: oldPath
      expression: {{ .path | replace "variables.spec" "variables.oldSpec" | quote }}
    - name: endpoint
      expression: {{ .endpoint | quote }}
    - name: url
      expression: 'variables.endpoint.?url.orValue(null)'
    - name: service
      expression: 'variables.endpoint.?service.orValue(null)'
    # Between the slashes and the path; empty where the url is none.
    - name: authority
      expression: 'variables.url == null ? "" : (variables.url.lowerAscii().find("^([a-z]+:)?//[^/?#]*") + "//").split("//")[1]'
    - name: host
      expression: 'variables.authority.startsWith("[") ? variables.authority.find("^\\[[^\\]]*").substring(1) : variables.authority.find("^[^:]*")'
    # [namespace, name] of the Service that is meant; name.namespace.svc is one, whatever follows.
    - name: target
      expression: >-
        variables.url != null
        ? (variables.host.matches("^[^.]+\\.[^.]+\\.svc(\\.|$)") ? [variables.host.split(".")[1], variables.host.split(".")[0]] : [])
        : (variables.service != null ? [variables.service.?namespace.orValue(""), variables.service.?name.orValue("")] : [])
    {{- if .headers }}
    # Without its port, and without the brackets of an address.
    - name: hostName
      expression: 'variables.endpoint.?host.?name.orValue("").lowerAscii().find("^(\\[[^\\]]*|[^:]*)").replace("[", "")'
    - name: headers
      expression: {{ .headers | quote }}
    - name: setsIdentity
      expression: >-
        variables.headers != null && variables.headers.exists(item, (item.size() > 32 ? item.substring(0, 32) : item).matches("(?i)^\\+?(x[^a-z0-9 ]remote[^a-z0-9 ]|impersonate[^a-z0-9 ])"))
    {{- end }}
    - name: forwards
      expression: 'variables.spec.?forwardAuthorization.orValue(false) == true'
  validations:
    - expression: 'request.operation == "DELETE" || variables.path == "" || authorizer.path(variables.path).check("publish").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not publish " + variables.path
        + "; a ClusterRole allows it with the rule {nonResourceURLs: [\"" + variables.path + "\"], verbs: [publish]}"
    - expression: 'request.operation == "CREATE" || variables.oldPath == "" || variables.oldPath == variables.path || authorizer.path(variables.oldPath).check("publish").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not " + (request.operation == "DELETE" ? "remove" : "move") + " what is published at " + variables.oldPath
        + "; a ClusterRole allows it with the rule {nonResourceURLs: [\"" + variables.oldPath + "\"], verbs: [publish]}"
    - expression: 'request.operation == "DELETE" || variables.target.size() == 0 || authorizer.group("").resource("services").namespace(variables.target[0]).name(variables.target[1]).check("route").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not route to Service " + variables.target[0] + "/" + variables.target[1]
        + "; a Role in namespace " + variables.target[0] + " allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"" + variables.target[1] + "\"], verbs: [route]}"
    - expression: 'request.operation == "DELETE" || variables.url == null || variables.target.size() == 2 || authorizer.group("extensions.kubesphere.io").resource("{{ .resource }}").name(variables.host).check("external").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not publish the host " + variables.host + ", which is no Service of this cluster"
        + "; a ClusterRole allows it with the rule {apiGroups: [extensions.kubesphere.io], resources: [{{ .resource }}], resourceNames: [\"" + variables.host + "\"], verbs: [external]}"
    {{- if .headers }}
    - expression: 'request.operation == "DELETE" || variables.hostName == "" || authorizer.group("extensions.kubesphere.io").resource("{{ .resource }}").name(variables.hostName).check("external").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not call a backend " + variables.hostName
        + "; a ClusterRole allows it with the rule {apiGroups: [extensions.kubesphere.io], resources: [{{ .resource }}], resourceNames: [\"" + variables.hostName + "\"], verbs: [external]}"
    - expression: 'request.operation == "DELETE" || !variables.setsIdentity || authorizer.group("").resource("users").check("impersonate").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not set X-Remote-* or Impersonate-* in headerUp"
        + "; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}"
    {{- end }}
    - expression: 'request.operation == "DELETE" || !variables.forwards || authorizer.group("").resource("users").check("impersonate").allowed()'
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not set forwardAuthorization, which hands callers' credentials to the backend"
        + "; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}"
---
{{ include "genkan.policyBinding" (dict "root" .root "name" $name) }}
{{- end -}}

{{/* What makes a policy act. Called with a dict: root and name. */}}
{{- define "genkan.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "genkan.labels" (list .root "policies") | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end -}}
