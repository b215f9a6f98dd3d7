#!/usr/bin/env python3
"""Makes builtin.txt: which fields the built-in kinds have, their protobuf numbers and how their lists merge.

Input: the published Go modules of one Kubernetes release, in the module cache:
  k8s.io/kubernetes (api/openapi-spec/v3), k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver (generated.proto).
Usage: extract.py $(go env GOMODCACHE)/k8s.io 33.13 > builtin.txt
"""
import glob, json, os, re, sys

ROOT, PATCH = sys.argv[1], sys.argv[2]
SPEC = f"{ROOT}/kubernetes@v1.{PATCH}/api/openapi-spec/v3"
KINDS = """
v1 Namespace ConfigMap Secret Service Pod Node ServiceAccount Endpoints Event Binding
apps/v1 Deployment ReplicaSet StatefulSet DaemonSet
autoscaling/v1 Scale
rbac.authorization.k8s.io/v1 Role RoleBinding ClusterRole ClusterRoleBinding
discovery.k8s.io/v1 EndpointSlice
coordination.k8s.io/v1 Lease
events.k8s.io/v1 Event
apiextensions.k8s.io/v1 CustomResourceDefinition
authentication.k8s.io/v1 TokenRequest TokenReview SelfSubjectReview
authorization.k8s.io/v1 SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview LocalSubjectAccessReview
policy/v1 Eviction PodDisruptionBudget
meta.k8s.io/v1 DeleteOptions Status
"""
PLAIN = {"string", "int32", "int64", "bool", "bytes", "double", "uint32"}
SPECIAL = {  # wire wrappers whose JSON is not an object
    "IntOrString": "intstr", "Quantity": "quantity", "Time": "time", "MicroTime": "microtime", "FieldsV1": "fields",
    "RawExtension": "raw", "JSON": "json", "JSONSchemaPropsOrArray": "any", "JSONSchemaPropsOrBool": "any",
    "JSONSchemaPropsOrStringArray": "any", "Duration": "duration",
}
LISTS = {"ExtraValue", "Verbs"}  # messages with one repeated string "items": a JSON list

def short(name):  # io.k8s.api.core.v1.Pod, k8s.io.api.core.v1.Pod -> core.v1.Pod
    parts = name.lstrip(".").split(".")
    if parts[:2] in (["io", "k8s"], ["k8s", "io"]):
        parts = parts[2:]
    return ".".join(p for p in parts if p not in ("api", "apimachinery", "pkg", "apis", "apiextensions-apiserver", "apiextensions_apiserver", "util", "kube-aggregator"))

messages = {}
for module in (f"api@v0.{PATCH}", f"apimachinery@v0.{PATCH}", f"apiextensions-apiserver@v0.{PATCH}"):
    for path in glob.glob(f"{ROOT}/{module}/**/generated.proto", recursive=True):
        package = message = None
        for line in open(path):
            line = line.split("//")[0].strip()
            if m := re.match(r"package ([\w.]+);", line):
                package = m[1]
            elif m := re.match(r"message (\w+) \{", line):
                message = messages.setdefault(short(f"{package}.{m[1]}"), {})
            elif m := re.match(r"(optional|repeated|map<string, ([.\w]+)>)\s*([.\w]*)\s+(\w+) = (\d+)( \[.*\])?;", line):
                kind = m[2] or m[3]
                if kind not in PLAIN and "." not in kind:
                    kind = f"{package}.{kind}"
                message[m[4]] = ("map" if m[2] else m[1], kind, int(m[5]))

# Go struct tags: what the server leaves out of its answers when it is empty ("omit"), and what it always writes.
tags = {}
for path in glob.glob(f"{ROOT}/ap*@v0.{PATCH}/**/types*.go", recursive=True):
    package = short("k8s.io." + os.path.dirname(path).split("/pkg/apis/")[-1].split(f"@v0.{PATCH}/")[-1].replace("/", "."))
    struct = None
    for line in open(path):
        if m := re.match(r"type (\w+) struct \{", line):
            struct = tags.setdefault(f"{package}.{m[1]}", {})
        elif line.startswith("}"):
            struct = None
        elif struct is not None and (m := re.match(r"\s+(?:\w+\s+)?([*\[\]\w.]+)\s+`(?:protobuf:\S+ )?json:\"([^\"]*)\"", line)):
            json_name, *options = m[2].split(",")
            if json_name and "inline" not in options:
                struct[json_name] = (m[1], "omitempty" in options)

schemas = {}
for path in sorted(glob.glob(f"{SPEC}/*.json")):
    for name, schema in json.load(open(path)).get("components", {}).get("schemas", {}).items():
        schemas.setdefault(short(name), schema)

wanted, done, out = [], set(), []

def type_of(kind):
    if kind in PLAIN:
        return kind
    name = short(kind)
    last = name.split(".")[-1]
    if last in SPECIAL:
        return SPECIAL[last]
    if last in LISTS:
        return "list"
    wanted.append(name)
    return name

def flags(schema, required):
    text = ""
    target = schema
    if len(schema.get("allOf", [])) == 1:
        target = {**schema, **schema["allOf"][0]}
    if schema.get("x-kubernetes-list-type") == "set":
        text += " set"
    if schema.get("x-kubernetes-list-type") == "atomic" and schema.get("x-kubernetes-patch-strategy"):
        text += " list=atomic"
    if schema.get("x-kubernetes-list-type") == "map":
        text += " keys=" + ",".join(schema["x-kubernetes-list-map-keys"])
    if schema.get("x-kubernetes-map-type") == "atomic":
        text += " atomic"
    if strategy := schema.get("x-kubernetes-patch-strategy"):
        text += f" patch={strategy.replace(',', '+')}"
    if key := schema.get("x-kubernetes-patch-merge-key"):
        text += f" merge={key}"
    if "default" in target and not isinstance(target["default"], (dict, list)):
        text += " default=" + json.dumps(target["default"])
    if required:
        text += " required"
    return text

parents = {}  # embedded type -> the schema that shows its fields

def emit(name):
    schema, message = schemas.get(name) or parents.get(name, {}), messages[name]
    head = f"type {name}"
    if schema.get("x-kubernetes-map-type") == "atomic":
        head += " atomic"
    out.append(head)
    properties = schema.get("properties", {})
    for meta in ("apiVersion", "kind"):
        if name in schemas and meta in properties and meta not in message:
            out.append(f" {meta} 0 string omit")
    by_number = sorted(message.items(), key=lambda f: f[1][2])
    for field, (shape, kind, number) in by_number:
        json_name = field
        if field not in properties and properties:
            wire = [p for p in properties if p.replace("-", "").replace("$", "").replace("_", "").lower() == field.replace("_", "").lower()]
            embedded = properties.get(field)
            if wire:
                json_name = wire[0]
            elif field in ("objectMeta",):
                json_name = "metadata"
            elif embedded is None:  # embedded Go structs: their fields stand at the outer level
                json_name = "~" + field
                parents.setdefault(short(kind), schema)
        t = type_of(kind)
        t = {"map": f"map:{t}", "repeated": f"[]{t}", "optional": t}[shape]
        text = flags(properties.get(json_name, {}), json_name in schema.get("required", []))
        go, omit = tags.get(name, {}).get(json_name, ("*", True))
        if not omit:
            text += " null" if go.startswith("*") else " always"
        elif not go.startswith("*") and (go.startswith("[]") or go.startswith("map[") or t in PLAIN or t.startswith("map:")):
            text += " omit"
        elif not go.startswith("*") and t not in ("json", "raw"):
            text += " struct"
        out.append(f" {json_name} {number} {t}{text}")
print(f"# The fields of the built-in kinds of Kubernetes 1.{PATCH}, made by extract.py from its published OpenAPI v3 and protobuf")
print("# definitions (Apache-2.0). A line is: JSON name, protobuf number, type, then how lists and maps merge.")
print("# omit: left out of answers when empty; always, null: written even when empty; struct: a Go struct, so written even when empty.")
print("# A name that begins with ~ is a Go struct embedded in its parent: its fields stand at the outer level in JSON.")
for line in KINDS.strip().splitlines():
    group_version, *kinds = line.split()
    group, version = group_version.rsplit("/", 1) if "/" in group_version else ("", group_version)
    for kind in kinds:
        names = [n for n, s in schemas.items() if any(
            (g["group"], g["version"], g["kind"]) == (group if group != "meta.k8s.io" else "", version, kind) for g in s.get("x-kubernetes-group-version-kind", []))]
        if group == "meta.k8s.io":
            names = [f"meta.v1.{kind}"]
        assert len(names) == 1, (kind, names)
        print(f"kind {group or '-'} {version} {kind} {names[0]}")
        wanted.append(names[0])
while wanted:
    name = wanted.pop(0)
    if name not in done:
        done.add(name)
        emit(name)
print("\n".join(out))
