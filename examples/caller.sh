#!/bin/sh
# From nobody to an answer: makes a ServiceAccount, calls, is refused, allows what the refusal says, and calls again.
#
#   sh examples/caller.sh URL [NAME]
#
# URL is of something that is published, such as http://127.0.0.1:8080/proxy/hello/. It takes kubectl with the right to make
# roles, and curl. `kubectl delete serviceaccount/NAME clusterrole/NAME clusterrolebinding/NAME` takes it all away again.
set -eu
url=${1:?give the URL of something that is published}
name=${2:-newcomer}

kubectl create serviceaccount "$name"
token=$(kubectl create token "$name")
namespace=$(kubectl config view --minify -o 'jsonpath={..namespace}')

# Prints the answer, and below it the code in a line of its own.
call() {
    printf 'Authorization: Bearer %s' "$token" | curl -sS -H @- -w '\n%{http_code}\n' "$url"
}

answer=$(call)
echo "$answer"
rule=$(echo "$answer" | sed -n 's/.*: \({[A-Za-z]*: .*\]}\)".*/\1/p' | sed 's/\\"/"/g')
[ -n "$rule" ] || { echo "this was no refusal with a rule" >&2; exit 1; }

kubectl apply -f - <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: $name}
rules:
  - $rule
EOF
kubectl create clusterrolebinding "$name" --clusterrole="$name" --serviceaccount="${namespace:-default}:$name"

# A refusal is remembered for 10 seconds.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    answer=$(call)
    case $answer in
        *'
403') sleep 1 ;;
        *) echo "$answer"; exit 0 ;;
    esac
done
echo "still refused; see docs/access.md" >&2
exit 1
