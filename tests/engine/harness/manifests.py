"""Kubernetes manifests without a cluster: checked against Kubernetes' own schema, and read as a kubelet would read them.

The schema comes from npm as TypeScript types and validators made from Kubernetes' OpenAPI document. The types find fields that do
not exist, which the API server would refuse as well; the validators find malformed values."""

import json
import os
import pathlib
import subprocess
import tempfile

import yaml

from harness import npm

PACKAGES = ("kubernetes-models@5.1.0", "typescript@5.9.3")


class Refused(Exception):
    """What the schema says against the manifests."""


def load(folder):
    """{"FILE/KIND/NAME": manifest} of all manifests there."""
    return {f"{path.name}/{manifest['kind']}/{manifest['metadata']['name']}": manifest
            for path in sorted(folder.glob("*.yaml")) for manifest in yaml.safe_load_all(path.read_text())}


def program(manifests):
    """TypeScript that is well typed if each manifest has the fields of its kind, and that says at run time which is malformed."""
    lines = []
    for n, (name, manifest) in enumerate(manifests.items()):
        fields = {field: value for field, value in manifest.items() if field not in ("apiVersion", "kind")}
        lines += [f'import {{ {manifest["kind"]} as Kind{n} }} from "kubernetes-models/{manifest["apiVersion"]}";',
                  f"try {{ new Kind{n}({json.dumps(fields)}).validate(); }}",
                  f"catch (error) {{ console.log({json.dumps(name)}, String(error)); process.exitCode = 1; }}"]
    return "declare const console: any, process: any;\n" + "\n".join(lines)


def validate(manifests):
    """Raises Refused with the schema's own words."""
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "node_modules").symlink_to(npm.installed(*PACKAGES))
        (pathlib.Path(work) / "manifests.mts").write_text(program(manifests))
        compiler = ["node", "node_modules/typescript/bin/tsc", "--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck",
                    "manifests.mts"]
        steps = [subprocess.run(step, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                 for step in (compiler, ["node", "manifests.mjs"])]
    if any(step.returncode != 0 for step in steps):
        raise Refused("\n".join(step.stdout for step in steps))


# ---- as a kubelet would read them ----------------------------------------------------------------------------------------


def pods(manifests):
    """{name: pod spec} of whatever makes pods."""
    return {name: manifest["spec"]["template"]["spec"] for name, manifest in manifests.items()
            if manifest["kind"] in ("Deployment", "Job")}


def secrets(manifests):
    """{name: {key: value}}"""
    return {manifest["metadata"]["name"]: manifest["stringData"] for manifest in manifests.values() if manifest["kind"] == "Secret"}


def security(pod, container):
    """What holds for the container: its own word before the pod's."""
    return {**pod.get("securityContext", {}), **container.get("securityContext", {})}


def variables(container, known):
    """{name: value}, secrets looked up."""
    def value(variable):
        if "value" in variable:
            return variable["value"]
        reference = variable["valueFrom"]["secretKeyRef"]
        return known[reference["name"]][reference["key"]]
    return {variable["name"]: value(variable) for variable in container.get("env", [])}


def mounts(pod, container, known, folder):
    """{path in the container: folder here}, with the files that a secret's volume has, as the kubelet would lay them."""
    volumes = {volume["name"]: volume["secret"] for volume in pod.get("volumes", [])}
    found = {}
    for mount in container.get("volumeMounts", []):
        secret = volumes[mount["name"]]
        found[mount["mountPath"]] = here = folder / mount["name"]
        here.mkdir(exist_ok=True)
        here.chmod(0o755)
        for item in secret["items"]:
            file = here / item["path"]
            file.write_text(known[secret["secretName"]][item["key"]])
            os.chown(file, 0, pod["securityContext"]["fsGroup"])
            file.chmod(secret["defaultMode"])
    return found


def docker_words(pod, container, known, folder):
    """What `docker run` needs to start the container under the rights that the manifest gives it."""
    rights = security(pod, container)
    words = ["--user", f"{rights['runAsUser']}:{rights['runAsGroup']}", "--stop-timeout", str(pod.get("terminationGracePeriodSeconds", 30))]
    words += [f"--cap-drop={capability}" for capability in rights["capabilities"]["drop"]]
    words += ["--read-only"] if rights["readOnlyRootFilesystem"] else []
    words += [] if rights["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]
    words += [f"--env={name}={value}" for name, value in variables(container, known).items()]
    words += [f"--volume={here}:{there}:ro" for there, here in mounts(pod, container, known, folder).items()]
    program = container.get("command", [])
    words += [f"--entrypoint={program[0]}"] if program else []
    return [*words, container["image"], *program[1:], *container.get("args", [])]
