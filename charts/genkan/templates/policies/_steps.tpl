{{/*
What admission knows of the steps of an object: a part of policies that ask for the rights of policies.

A step is kept as a map: at, where it stands; within, how its configuration is called there; use, the policy without
version; with, its configuration. Steps of `switch` are among them, and of `switch` inside `switch`; what is nested deeper, or has more
branches than CEL can put together, is refused. Lists of lists are put together place by place, since CEL has no other way.
*/}}

{{/* Names of the built-in policies, as a list in CEL. */}}
{{- define "genkan.builtins" -}}
["antivirus", "apiKey", "authorize", "basic", "call", "check", "cors", "countLimit", "decrypt", "encrypt", "enrich", "extAuth", "extProc", "filter", "hmac", "introspect", "jwt", "log", "lookup", "mtls", "rateLimit", "redact", "redirect", "respond", "script", "set", "sign", "switch", "throw", "tokenExchange", "tokenMint", "transform", "validateSchema", "verifySignature"]
{{- end -}}

{{/* The lists in a list, as one. Called with a dict: of, the list in CEL, and most. */}}
{{- define "genkan.joined" -}}
{{- $lists := list -}}
{{- range $index := until .most -}}
{{- $lists = append $lists (printf "%s[?%d].orValue([])" $.of $index) -}}
{{- end -}}
{{- join " + " $lists -}}
{{- end -}}

{{/* The steps of one list, which are maps. Called with a dict: of, the list in CEL; at, where it stands in CEL. */}}
{{- define "genkan.stepsOf" -}}
{{ .of }}.transformList(i, s, {"at": dyn({{ .at }} + "[" + string(i) + "]"), "within": dyn(".with"), "use": dyn(type(s.?use.orValue(null)) == string ? s.use.find("^[^@]*") : ""), "with": dyn(type(s.?with.orValue(null)) == map ? s.with : {})})
{{- end -}}

{{/* Variables: steps0 is there; those inside, and all. Called with most, which is how many there may be of switches. */}}
{{- define "genkan.insideSwitch" -}}
{{- range $depth := list 0 1 }}
- name: switches{{ $depth }}
  expression: 'variables.steps{{ $depth }}.filter(s, s.use == "switch")'
- name: branchesOf{{ $depth }}
  expression: >-
    variables.switches{{ $depth }}.map(s, (type(s.with.?cases.orValue(null)) == list ? s.with.cases : [])
    .transformList(i, c, {"at": dyn(s.at + s.within + ".cases[" + string(i) + "].steps"), "steps": dyn(type(c) == map ? c.?steps.orValue(null) : null)})
    + [{"at": dyn(s.at + s.within + ".otherwise"), "steps": dyn(s.with.?otherwise.orValue(null))}])
- name: branches{{ $depth }}
  expression: >-
    ({{ include "genkan.joined" (dict "of" (printf "variables.branchesOf%d" $depth) "most" 32) }}).filter(b, type(b.steps) == list)
- name: stepsOf{{ $depth }}
  expression: >-
    variables.branches{{ $depth }}.map(b, {{ include "genkan.stepsOf" (dict "of" "b.steps.filter(s, type(s) == map)" "at" "b.at") }})
- name: steps{{ add1 $depth }}
  expression: '{{ include "genkan.joined" (dict "of" (printf "variables.stepsOf%d" $depth) "most" 64) }}'
{{- end }}
- name: inside
  expression: 'variables.steps1 + variables.steps2'
# Filtered, so that it is one list, and no longer lists that are put together at each step.
- name: steps
  expression: '(variables.steps0 + variables.inside).filter(s, true)'
- name: builtIns
  expression: 'variables.steps.filter(s, s.use in {{ include "genkan.builtins" "" }})'
{{- end -}}

{{/* Of a list of URLs, and of hosts with a port perhaps, in CEL: the hosts, or the Services; name.namespace.svc is one, whatever follows. */}}
{{- define "genkan.targetsOf" -}}
.map(u, u.lowerAscii()).map(u, u.find("^([a-z][a-z0-9+.-]*://)?[^/?#]*")).map(u, u.contains("://") ? u.split("://")[1] : u)
.map(a, a.startsWith("[") ? a.find("^\\[[^\\]]*").substring(1) : a.find("^[^:]*"))
.map(h, h.matches("^[^.]+\\.[^.]+\\.svc(\\.|$)") ? h.split(".")[1] + "/" + h.split(".")[0] : h)
{{- end -}}

{{/* Variables: what steps may call, as connectors' policies have it: NAMESPACE/NAME of a Service, or a host. */}}
{{- define "genkan.stepTargets" -}}
{{- $places := list "url" "endpoint" "server" "target" "keys.url" "key.url" "request.url" -}}
- name: urls
  expression: >-
    {{ range $index, $place := $places -}}
    {{- if $index }} + {{ end -}}
    {{- $parts := splitList "." $place -}}
    {{- if eq (len $parts) 1 -}}
    variables.steps.filter(s, "{{ $place }}" in s.with).map(s, {"at": dyn(s.at + s.within + ".{{ $place }}"), "use": dyn(s.use), "url": dyn(s.with.{{ $place }})})
    {{- else -}}
    variables.steps.filter(s, "{{ index $parts 0 }}" in s.with && type(s.with.{{ index $parts 0 }}) == map).map(s, {"at": dyn(s.at + s.within + ".{{ $place }}"), "use": dyn(s.use), "url": dyn(s.with.{{ index $parts 0 }}.?{{ index $parts 1 }}.orValue(null))})
    {{- end -}}
    {{- end }}
- name: texts
  expression: 'variables.urls.filter(u, type(u.url) == string && u.url != "")'
# Of a policy that somebody defined they are parameters, which need not be URLs.
- name: written
  expression: >-
    variables.texts.filter(u, u.url.matches(r"^[A-Za-z][A-Za-z0-9+.-]*://([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#]|$)"))
- name: unwritten
  expression: >-
    variables.texts.filter(u, u.use in {{ include "genkan.builtins" "" }} && !u.url.matches(r"^[A-Za-z][A-Za-z0-9+.-]*://([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#]|$)"))
- name: hostsOfScripts
  expression: >-
    variables.steps.filter(s, s.use == "script" && type(s.with.?hosts.orValue(null)) == list)
    .map(s, s.with.hosts.filter(h, type(h) == string).join("\n")).join("\n").split("\n").filter(h, h != "")
- name: hosts
  expression: >-
    (variables.written.map(u, u.url) + variables.hostsOfScripts)
    {{- include "genkan.targetsOf" "" | nindent 4 }}
- name: targets
  expression: 'variables.hosts'
{{- end -}}

{{/* Variables: what of steps takes `impersonate`, and headers that are nobody's to set. */}}
{{- define "genkan.stepIdentities" -}}
- name: setsIdentity
  expression: >-
    variables.steps.exists(s, s.use in ["apiKey", "basic", "hmac", "introspect", "jwt", "mtls"] && s.with.?identity.orValue(null) != null)
# Where credentials are taken from Authorization: there apiKey looks only when told to.
- name: forwards
  expression: >-
    variables.steps.filter(s, s.use in ["apiKey", "basic", "extAuth", "hmac", "introspect", "jwt"] && !(s.with.?forward.orValue(null) in [dyn(null), dyn(false)]))
    .exists(s, (type(s.with.?from.orValue(null)) == list && s.with.from.size() > 0
    ? s.with.from.map(f, type(f) == map ? f.?header.orValue("") : "")
    : [s.with.?header.orValue(s.use == "apiKey" && s.with.?from.orValue(null) in [dyn(null), dyn([])] ? "x-api-key" : "authorization")])
    .exists(h, type(h) != string || h.contains("{{ "{{" }}") || h.lowerAscii() in ["authorization", "x-kubesphere-authorization"]))
- name: headers
  expression: >-
    {{ range $index, $place := list "set" "add" "remove" -}}
    {{- if $index }} + {{ end -}}
    variables.builtIns.filter(s, "headers" in s.with && type(s.with.headers) == map && type(s.with.headers.?{{ $place }}.orValue(null)) in [dyn(map), dyn(list)]).map(s, {"at": dyn(s.at + s.within + ".headers.{{ $place }}"), "names": dyn(s.with.headers.{{ $place }})})
    {{- end }}
- name: ownHeaders
  expression: >-
    variables.headers.map(h, {"at": dyn(h.at), "names": dyn(h.names.filter(n, type(n) == string && n.matches("(?i)^\\s*(x[^a-z0-9 ]remote[^a-z0-9 ]|impersonate[^a-z0-9 ])")))})
    .filter(h, h.names.size() > 0)
{{- end -}}

{{/* Validations that no right answers. */}}
{{- define "genkan.stepsAreSeen" -}}
- expression: 'variables.switches0.size() <= 32 && variables.switches1.size() <= 32 && variables.branches0.size() <= 64 && variables.branches1.size() <= 64'
  reason: Invalid
  message: {{ .field }} has more than 32 switches, or more than 64 cases in them; write a PolicyDefinition for a part of them
- expression: '!variables.steps2.exists(s, s.use == "switch")'
  reason: Invalid
  messageExpression: >-
    variables.steps2.filter(s, s.use == "switch")[0].at + ": switch inside switch inside switch is not looked into; write a PolicyDefinition"
{{- end -}}

{{- define "genkan.stepIdentityValidations" -}}
- expression: 'variables.ownHeaders.size() == 0'
  reason: Invalid
  messageExpression: >-
    variables.ownHeaders[0].at + ": " + variables.ownHeaders[0].names[0] + " is a header that only genkan sets"
- expression: '!variables.forwards || authorizer.group("").resource("users").check("impersonate").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not set forward, which hands callers' credentials to the backend"
    + "; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}"
- expression: '!variables.setsIdentity || authorizer.group("").resource("users").check("impersonate").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not set identity, which tells the backend who calls"
    + "; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}"
{{- end -}}

{{/*
Rights on what steps call, one authorizer check an expression: variables `targets` and `rest0` to `rest8`. Called with a dict:
root, group, resource, namespaced; field, for the sentence on more than 8, which are then refused; without it they need the
rights without names.
*/}}
{{- define "genkan.targetVariables" -}}
- name: rest0
  expression: 'variables.targets'
{{- range $index := until 8 }}
- name: rest{{ add1 $index }}
  expression: 'variables.rest{{ $index }}.filter(one, one != variables.rest{{ $index }}[0])'
{{- end }}
- name: isLong
  expression: 'variables.rest8.size() > 0'
{{- end -}}

{{- define "genkan.targetValidations" -}}
{{- $external := printf "authorizer.group(%q).resource(%q)" .group .resource -}}
{{- $role := "; a ClusterRole" -}}
{{- if .namespaced -}}
{{- $external = printf "%s.namespace(request.namespace)" $external -}}
{{- $role = "; a Role in namespace \" + request.namespace + \"" -}}
{{- end -}}
- expression: 'variables.unwritten.size() == 0'
  reason: Invalid
  messageExpression: 'variables.unwritten[0].at + ": scheme, host and port must be written out"'
{{- range $index := until 8 }}
{{- $one := printf "variables.rest%d[0]" $index }}
- expression: >-
    variables.rest{{ $index }}.size() == 0 || variables.isLong || ({{ $one }}.contains("/")
    ? authorizer.group("").resource("services").namespace({{ $one }}.split("/")[0]).name({{ $one }}.split("/")[1]).check("route")
    : {{ $external }}.name({{ $one }}).check("external")).allowed()
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + ({{ $one }}.contains("/") ? " may not route to Service " + {{ $one }}
    + "; a Role in namespace " + {{ $one }}.split("/")[0] + " allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"" + {{ $one }}.split("/")[1] + "\"], verbs: [route]}"
    : " may not call the host " + {{ $one }} + ", which is no Service of this cluster{{ $role }} allows it with the rule {apiGroups: [{{ $.group }}], resources: [{{ $.resource }}], resourceNames: [\"" + {{ $one }} + "\"], verbs: [external]}")
{{- end }}
{{- if .field }}
- expression: '!variables.isLong'
  reason: Invalid
  messageExpression: >-
    "{{ .field }}: " + string(variables.targets.transformList(i, one, variables.targets.indexOf(one) == i, one).size()) + " different hosts, the limit is 8"
{{- else }}
- expression: '!variables.isLong || variables.rest0.all(one, one.contains("/")) || {{ $external }}.check("external").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not call any host, which naming more than 8 takes
    {{- $role }} allows it with the rule {apiGroups: [{{ .group }}], resources: [{{ .resource }}], verbs: [external]}"
- expression: '!variables.isLong || !variables.rest0.exists(one, one.contains("/")) || authorizer.group("").resource("services").check("route").allowed()'
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not route to any Service, which naming more than 8 takes; a ClusterRole
    allows it with the rule {apiGroups: [\"\"], resources: [services], verbs: [route]}"
{{- end }}
{{- end -}}

{{/* `get` on each of `variables.secrets`. Called with how many there may be. */}}
{{- define "genkan.secretValidations" -}}
{{- range $index := until . }}
{{- $one := printf "variables.secrets[%d]" $index }}
- expression: >-
    variables.secrets.size() <= {{ $index }} || authorizer.group("").resource("secrets").namespace({{ $one }}.namespace).name({{ $one }}.name).check("get").allowed()
  reason: Forbidden
  messageExpression: >-
    request.userInfo.username + " may not read Secret " + {{ $one }}.namespace + "/" + {{ $one }}.name + "; a Role in namespace " + {{ $one }}.namespace
    + " allows it with the rule {apiGroups: [\"\"], resources: [secrets], resourceNames: [\"" + {{ $one }}.name + "\"], verbs: [get]}"
{{- end }}
{{- end -}}

{{/* The head of a policy. Called with a dict: root, name, group, resource, operations. */}}
{{- define "genkan.policyHead" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ .name }}
  labels: {{- include "genkan.labels" (list .root "policies") | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [{{ .group }}]
        apiVersions: ["*"]
        operations: {{ .operations }}
        resources: [{{ .resource }}]
{{- end -}}

{{/*
Two policies for the steps of a published kind, since one would cost more than a policy may: 24 rights to use what they name,
and 10 for what they do. Called with a dict: root, group, resource, namespaced.
*/}}
{{- define "genkan.stepPolicies" -}}
{{- $name := printf "%s-%s" (include "genkan.name" .root) .resource -}}
{{- $conditions := "genkan.stepConditions" -}}
{{ include "genkan.policyHead" (dict "root" .root "name" (printf "%s-policies" $name) "group" .group "resource" .resource "operations" "[CREATE, UPDATE]") }}
  {{- include $conditions "" | nindent 2 }}
  variables:
    {{- include "genkan.publishedSteps" . | nindent 4 }}
    - name: secrets
      expression: 'variables.spec.?policySecrets.orValue([])'
    # A script is code of the author's own, so it is asked for as if it were somebody's policy.
    - name: used
      expression: >-
        variables.steps0.map(s, s.use).filter(u, u == "script" || !(u in {{ include "genkan.builtins" "" }}))
        + variables.inside.filter(s, s.use == "script").map(s, s.use)
    - name: policies
      expression: 'variables.used.transformList(i, u, variables.used.indexOf(u) == i, u)'
  validations:
    {{- include "genkan.stepsAreSeen" (dict "field" "spec.policies") | nindent 4 }}
    - expression: '!variables.inside.exists(s, s.use != "" && !(s.use in {{ include "genkan.builtins" "" }}))'
      reason: Invalid
      messageExpression: >-
        variables.inside.filter(s, s.use != "" && !(s.use in {{ include "genkan.builtins" "" }}))[0].at
        + ": user-defined policies are not allowed inside switch here; write a PolicyDefinition"
    - expression: 'variables.policies.size() <= 16'
      reason: Invalid
      messageExpression: '"spec.policies: " + string(variables.policies.size()) + " different policies, the limit is 16"'
    {{- range $index := until 16 }}
    {{- $one := printf "variables.policies[%d]" $index }}
    - expression: >-
        variables.policies.size() <= {{ $index }} || variables.policies.size() > 16
        || authorizer.group("gateway.genkan.io").resource("policydefinitions").name({{ $one }}).check("use").allowed()
      reason: Forbidden
      messageExpression: >-
        request.userInfo.username + " may not use policy " + {{ $one }}
        + "; a ClusterRole allows it with the rule {apiGroups: [gateway.genkan.io], resources: [policydefinitions], resourceNames: [\"" + {{ $one }} + "\"], verbs: [use]}"
    {{- end }}
    {{- include "genkan.secretValidations" 8 | nindent 4 }}
---
{{ include "genkan.policyBinding" (dict "root" .root "name" (printf "%s-policies" $name)) }}
---
{{ include "genkan.policyHead" (dict "root" .root "name" (printf "%s-steps" $name) "group" .group "resource" .resource "operations" "[CREATE, UPDATE]") }}
  {{- include $conditions "" | nindent 2 }}
  variables:
    {{- include "genkan.publishedSteps" . | nindent 4 }}
    {{- include "genkan.stepTargets" "" | nindent 4 }}
    {{- include "genkan.targetVariables" "" | nindent 4 }}
    {{- include "genkan.stepIdentities" "" | nindent 4 }}
  validations:
    {{- include "genkan.stepIdentityValidations" "" | nindent 4 }}
    {{- include "genkan.targetValidations" (dict "group" .group "resource" .resource "namespaced" .namespaced "field" "spec.policies") | nindent 4 }}
---
{{ include "genkan.policyBinding" (dict "root" .root "name" (printf "%s-steps" $name)) }}
{{- end -}}

{{- define "genkan.stepConditions" -}}
matchConditions:
  - name: what-is-served-changes
    expression: 'request.operation != "UPDATE" || object.?spec != oldObject.?spec'
  - name: has-policies
    expression: 'dyn(object).?spec.?policies.orValue([]).size() > 0 || dyn(object).?spec.?policySecrets.orValue([]).size() > 0'
{{- end -}}

{{- define "genkan.publishedSteps" -}}
- name: spec
  expression: 'dyn(object).?spec.orValue({})'
- name: steps0
  expression: >-
    {{ include "genkan.stepsOf" (dict "of" "variables.spec.?policies.orValue([])" "at" "\"spec.policies\"") }}
{{- include "genkan.insideSwitch" "" }}
{{- end -}}
