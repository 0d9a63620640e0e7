"""examples/kubernetes: valid by Kubernetes' own schema, kind to a migration that takes long, and each container started as its
manifest says, side by side, on the image of examples/alembic-fastapi."""

import copy
import json
import urllib.request

import pytest

from harness import daemon, manifests
from harness.daemon import docker
from harness.examples import PATIENCE
from harness.waiting import eventually

ALL = manifests.load(daemon.REPOSITORY / "examples" / "kubernetes")
SECRETS = manifests.secrets(ALL)
PODS = manifests.pods(ALL)
IMAGE = "registry.example.com/library:1.0"
ENTRYPOINT = "entrypoint.yaml/Deployment/library-api"
INIT_CONTAINER = "init-container.yaml/Deployment/library-api"
JOB = "job.yaml/Job/library-migrate-1-0"
WORKER = "worker.yaml/Deployment/library-worker"
LONG = 3600  # seconds; how long a migration may take before anything here would end it


def containers(kinds=("initContainers", "containers")):
    return [(f"{name}/{container['name']}", pod, container) for name, pod in PODS.items() for kind in kinds for container in pod.get(kind, [])]


def may_migrate(container):
    return "command" not in container and container.get("args", ["migrate"])[0] != "wait"


def budget(probe):
    return probe["periodSeconds"] * probe["failureThreshold"]


def test_the_schema_of_kubernetes_accepts_them():
    manifests.validate(ALL)


def test_the_schema_refuses_what_is_wrong():
    """The check is one: a misspelt field, a missing one, a wrong word and a malformed number are all found."""
    wrong = copy.deepcopy(ALL)
    api = wrong[ENTRYPOINT]["spec"]["template"]["spec"]["containers"][0]
    api["startupProbe"]["failureTreshold"] = api["startupProbe"].pop("failureThreshold")
    api["resources"]["limits"]["memory"] = "512Mx"
    del wrong[WORKER]["spec"]["selector"]
    wrong[JOB]["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    with pytest.raises(manifests.Refused) as refused:
        manifests.validate(wrong)
    for words in ("'\"failureTreshold\"' does not exist in type 'IProbe'", "Property '\"selector\"' is missing",
                  "'\"Sometimes\"' is not assignable", 'limits/memory must match format "quantity"'):
        assert words in str(refused.value)


def test_they_fit_each_other():
    for name, manifest in ALL.items():
        if manifest["kind"] == "Deployment":
            assert manifest["spec"]["selector"]["matchLabels"] == manifest["spec"]["template"]["metadata"]["labels"], name
        if manifest["kind"] == "Service":
            assert manifest["spec"]["selector"] == ALL[ENTRYPOINT]["spec"]["selector"]["matchLabels"]
    for name, pod, container in containers():
        assert container["image"] == IMAGE, name
        assert "DATABASE_URL" in "".join(manifests.variables(container, SECRETS)), name


def test_nothing_ends_a_migration_that_takes_long():
    for name, pod, container in containers():
        if may_migrate(container):
            grace = manifests.variables(container, SECRETS)["LOCKSTEP_STOP_GRACE"]
            assert pod["terminationGracePeriodSeconds"] >= int(grace.removesuffix("s")) + 10, name
    for name, pod, container in containers(["containers"]):
        if may_migrate(container) and "livenessProbe" in container:
            assert container["startupProbe"]["exec"]["command"][:2] == ["lockstep", "check"], name
            assert budget(container["startupProbe"]) >= 2 * LONG, name
    for name, manifest in ALL.items():
        if manifest["kind"] == "Deployment":
            assert manifest["spec"]["progressDeadlineSeconds"] >= LONG, name
        assert "activeDeadlineSeconds" not in json.dumps(manifest), name


def test_no_container_has_a_right_that_it_does_not_need():
    for name, pod, container in containers():
        rights = manifests.security(pod, container)
        assert rights["runAsNonRoot"] and rights["runAsUser"] > 0 and rights["runAsGroup"] > 0, name
        assert rights["readOnlyRootFilesystem"] and rights["allowPrivilegeEscalation"] is False, name
        assert rights["capabilities"] == {"drop": ["ALL"]} and rights["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name


class Node:
    """What a node would be: starts the manifests' containers, on the network of the example's database."""

    def __init__(self, example, directory):
        self.example, self.directory = example, directory
        self.started = []
        example.compose("build", "api")
        docker("tag", f"{example.name}-api", IMAGE)
        example.compose("up", "--detach", "db")

    def start(self, name, kind="containers"):
        pod = PODS[name]
        words = manifests.docker_words(pod, pod[kind][0], SECRETS, self.directory)
        self.started.append(docker("run", "--detach", "--network", f"{self.example.name}_default",
                                   "--label", f"com.docker.compose.project={self.example.name}", *words).strip())
        return self.started[-1]

    def logs(self, *started):
        return "".join(self.example.log(container) for container in started or self.started)

    def serves(self, container, spec):
        """Its probes succeed, asked as the kubelet asks; the app has what the migrations made."""
        if "exec" in spec["startupProbe"]:
            eventually(lambda: succeeds(container, spec["startupProbe"]["exec"]["command"]), PATIENCE, what="startup probe")
        for probe in ("livenessProbe", "readinessProbe"):
            eventually(lambda: answer(container, spec[probe]["httpGet"]["path"]), PATIENCE, what=f"{probe}\n{self.logs(container)}")
        assert [book["title"] for book in answer(container, "/")] == ["Walden", "Emma", "Ulysses"]


def status(container):
    return int(docker("wait", container))


def succeeds(container, command):
    try:
        docker("exec", container, *command)
    except daemon.EngineError:
        return False
    return True


def answer(container, path):
    """What the app there says, or None as long as it does not."""
    address = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container).strip()
    try:
        with urllib.request.urlopen(f"http://{address}:8000{path}", timeout=10) as response:
            return json.load(response)
    except OSError:
        return None


def test_all_ways_side_by_side_migrate_once(new_example, directory):
    """README: all of them may run side by side. Then the pods that come later have nothing to do."""
    node = Node(new_example("alembic-fastapi"), directory)
    replicas = [node.start(ENTRYPOINT) for _ in range(2)]
    worker, job, prepared = node.start(WORKER), node.start(JOB), node.start(INIT_CONTAINER, "initContainers")

    assert status(job) == 0 and status(prepared) == 0, node.logs(job, prepared)
    for replica in replicas:
        node.serves(replica, PODS[ENTRYPOINT]["containers"][0])
    eventually(lambda: "lent: " in node.logs(worker), PATIENCE, what=f"the worker's work: {node.logs(worker)}")
    node.serves(node.start(INIT_CONTAINER), PODS[INIT_CONTAINER]["containers"][0])

    said = node.logs()
    assert said.count('"event":"migrating"') == said.count('"event":"migrated"') == 1
    assert '"event":"migrating"' not in node.logs(worker)

    late = node.start(JOB)
    assert status(late) == 0 and '"event":"satisfied"' in node.logs(late) and '"event":"locked"' not in node.logs(late)
