{{/*
Policies of GatewayExtensions and PolicyDefinitions: who writes one answers for the whole of it, and what is in use stays.
Called with a dict: root, kind, resource.
*/}}
{{- define "genkan.gatewayPolicies" -}}
{{- $name := printf "%s-%s" (include "genkan.name" .root) .resource -}}
{{- $isExtension := eq .kind "GatewayExtension" -}}
{{- $group := "gateway.genkan.io" -}}
{{- $operator := printf "system:serviceaccount:%s:%s-operator" .root.Release.Namespace (include "genkan.name" .root) -}}
{{ include "genkan.policyHead" (dict "root" .root "name" $name "group" $group "resource" .resource "operations" "[CREATE, UPDATE, DELETE]") }}
  matchConditions:
    - name: what-counts-changes
      expression: 'request.operation != "UPDATE" || object.?spec != oldObject.?spec'
    # What the operator writes and removes follows from extensions; what garbage collection does has been decided there too.
    - name: not-the-operator
      expression: 'request.userInfo.?username.orValue("") != "{{ $operator }}"'
    - name: not-garbage-collection
      expression: >-
        request.operation != "DELETE" || !("system:serviceaccounts:kube-system" in request.userInfo.?groups.orValue([])
        || request.userInfo.?username.orValue("") == "system:kube-controller-manager")
  variables:
    - name: spec
      expression: 'request.operation == "DELETE" ? {} : dyn(object).?spec.orValue({})'
    - name: oldSpec
      expression: 'request.operation == "CREATE" ? {} : dyn(oldObject).?spec.orValue({})'
    - name: old
      expression: 'request.operation == "DELETE" ? dyn(oldObject) : {}'
    - name: usedBy
      expression: 'variables.old.?status.?usedBy.orValue([])'
    - name: count
      expression: '[variables.usedBy.size(), int(optional.ofNonZeroValue(variables.old.?status.?usedByCount.orValue(0)).orValue(0))].max()'
    - name: forced
      expression: 'variables.old.?metadata.?annotations[?"gateway.genkan.io/force-delete"].orValue("") == "true"'
    {{- if $isExtension }}
    - name: secrets
      expression: 'variables.spec.?secrets.orValue([])'
    {{- end }}
  validations:
    - expression: 'variables.count == 0 || variables.forced'
      reason: Forbidden
      messageExpression: >-
        "{{ .kind }} " + variables.old.metadata.name + " is used by "
        + (variables.usedBy.size() == 0 ? string(variables.count) + " objects" : variables.usedBy[0] + (variables.count > 1 ? " and " + string(variables.count - 1) + " more" : ""))
        + "; take it off there first, or set the annotation gateway.genkan.io/force-delete: \"true\""
    {{- if $isExtension }}
    {{- include "genkan.secretValidations" 16 | nindent 4 }}
    {{- else }}
    - expression: 'request.operation == "DELETE" || variables.spec.?entry.orValue(null) == variables.oldSpec.?entry.orValue(null)'
      reason: Forbidden
      messageExpression: >-
        "spec.entry is written by the operator only, for a policy of a GatewayExtension; " + (request.operation == "CREATE"
        ? "write steps, script or callOut instead" : "change the entry of the GatewayExtension instead")
    {{- end }}
---
{{ include "genkan.policyBinding" (dict "root" .root "name" $name) }}
---
{{ include "genkan.policyHead" (dict "root" .root "name" (printf "%s-steps" $name) "group" $group "resource" .resource "operations" "[CREATE, UPDATE]") }}
  matchConditions:
    - name: what-counts-changes
      expression: 'request.operation != "UPDATE" || object.?spec != oldObject.?spec'
    - name: not-the-operator
      expression: 'request.userInfo.?username.orValue("") != "{{ $operator }}"'
  variables:
    - name: spec
      expression: 'dyn(object).?spec.orValue({})'
    {{- if $isExtension }}
    - name: bodies
      expression: >-
        variables.spec.?entries.orValue([]).transformList(n, e, {"at": dyn("spec.entries[" + string(n) + "]"),
        "hook": dyn(e.?hook.orValue(null) == null ? [] : e.hook.?steps.orValue([])), "callOut": dyn(e.?callOut.orValue(null) == null ? {} : e.callOut),
        "policyAt": dyn("spec.entries[" + string(n) + "].policy"), "policy": dyn(e.?policy.orValue(null) == null ? {} : e.policy)})
    {{- else }}
    - name: bodies
      expression: '[{"at": dyn("spec"), "hook": dyn([]), "callOut": dyn({}), "policyAt": dyn("spec"), "policy": dyn(variables.spec)}]'
    {{- end }}
    # Of each the lists of its steps: of the hook, of the policy, and of what catches errors.
    - name: listsOf
      expression: >-
        variables.bodies.map(b, [{"at": dyn(b.at + ".hook.steps"), "steps": dyn(b.hook)},
        {"at": dyn(b.policyAt + ".steps"), "steps": dyn(b.policy.?steps.orValue([]))},
        {"at": dyn(b.policyAt + ".finally"), "steps": dyn(b.policy.?finally.orValue([]))}]
        + b.policy.?catch.orValue([]).transformList(j, c, {"at": dyn(b.policyAt + ".catch[" + string(j) + "].steps"), "steps": dyn(c.?steps.orValue([]))}))
    # So many that looking at them would cost more than an expression may.
    - name: isVast
      expression: 'variables.listsOf.map(lists, lists.map(l, size(l.steps)).sum()).sum() > 4096'
    - name: stepsOfBodies
      expression: >-
        (variables.isVast ? [] : variables.listsOf).map(lists, lists.map(l, {{ include "genkan.stepsOf" (dict "of" "l.steps" "at" "l.at") }}))
        .map(l, {{ include "genkan.joined" (dict "of" "l" "most" 19) }})
    # What another program decides, as if it were a step.
    - name: callOuts
      expression: >-
        {{ range $index, $place := list (list "callOut" "at" "extAuth") (list "callOut" "at" "extProc") (list "policy" "policyAt" "extAuth") (list "policy" "policyAt" "extProc") -}}
        {{- if $index }} + {{ end -}}
        {{- $from := index $place 0 -}}
        {{- $what := index $place 2 -}}
        {{- $call := ternary "b.callOut" "b.policy.callOut" (eq $from "callOut") -}}
        variables.bodies.filter(b, {{ if eq $from "policy" }}type(b.policy.?callOut.orValue(null)) == map && {{ end }}type({{ $call }}.?{{ $what }}.orValue(null)) == map)
        .map(b, {"at": dyn(b.{{ index $place 1 }} + ".callOut"), "within": dyn(".{{ $what }}"), "use": dyn("{{ $what }}"), "with": dyn({{ $call }}.{{ $what }})})
        {{- end }}
    - name: steps0
      expression: >-
        (variables.callOuts + {{ include "genkan.joined" (dict "of" "variables.stepsOfBodies" "most" 64) }}).filter(s, true)
    {{- include "genkan.insideSwitch" "" | nindent 4 }}
    {{- include "genkan.stepTargets" "" | replace "name: targets" "name: ofSteps" | nindent 4 }}
    {{- if $isExtension }}
    # Where archives and files come from, and what takes the place of hosts in an archive.
    - name: sources
      expression: >-
        ([variables.spec.?archive.orValue(null)].filter(a, a != null).map(a, a.?source.orValue(null))
        + variables.spec.?entries.orValue([]).map(e, e.?source.orValue(null))
        + variables.spec.?entries.orValue([]).map(e, e.?files.orValue(null)).filter(f, f != null).map(f, f.?source.orValue(null)))
        .filter(s, s != null).map(s, s.?url.orValue(null)).filter(u, u != null).map(u, u.?url.orValue(""))
    - name: hostMap
      expression: >-
        [variables.spec.?archive.orValue(null)].filter(a, a != null).map(a, a.?hostMap.orValue({})).map(m, m.map(k, m[k]).join("\n")).join("\n").split("\n").filter(v, v != "")
    - name: others
      expression: >-
        (variables.sources + variables.hostMap.filter(v, v.contains("://") || !v.contains("/")))
        {{- include "genkan.targetsOf" "" | nindent 8 }}
    - name: targets
      expression: >-
        variables.ofSteps + variables.others + variables.hostMap.filter(v, !v.contains("://") && v.contains("/")).map(v, v.find("^[^/]*/[^:/]*"))
    {{- else }}
    - name: targets
      expression: 'variables.ofSteps'
    {{- end }}
    {{- include "genkan.targetVariables" "" | nindent 4 }}
    {{- include "genkan.stepIdentities" "" | nindent 4 }}
  validations:
    {{- if $isExtension }}
    - expression: '!variables.isVast'
      reason: Invalid
      message: spec.entries has more than 4096 steps; divide it into several GatewayExtensions
    {{- end }}
    {{- include "genkan.stepsAreSeen" (dict "field" (ternary "spec.entries" "spec" $isExtension)) | nindent 4 }}
    {{- include "genkan.stepIdentityValidations" "" | nindent 4 }}
    {{- include "genkan.targetValidations" (dict "group" $group "resource" .resource "namespaced" false) | nindent 4 }}
---
{{ include "genkan.policyBinding" (dict "root" .root "name" (printf "%s-steps" $name)) }}
{{- end -}}
