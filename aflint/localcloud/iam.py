"""IAM's roles, as far as a deployment needs them, and STS: one query protocol for both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import parse_qsl, quote

from aflint.localcloud.clock import Clock
from aflint.localcloud.roles import Role, Roles, check_policy, no_policy
from aflint.localcloud.wire import Reply, Request, Service, ServiceError, Value, document

Form = dict[str, str]
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"
Result = dict[str, Value]
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


class Iam(Service):
    """IAM; `roles` is its state. `is_denied` decides what SimulatePrincipalPolicy answers."""

    name: ClassVar[str] = "iam"

    def __init__(
        self,
        roles: Roles,
        clock: Clock,
        new_id: Callable[[], str],
        account: str,
        is_denied: Callable[[str], bool],
    ) -> None:
        self._roles = roles
        self._clock = clock
        self._new_id = new_id
        self._account = account
        self._is_denied = is_denied

    def action(self, request: Request) -> str:
        action = read_form(request).get("Action", "")
        if action not in _ACTIONS:
            raise ServiceError("InvalidAction", f"localcloud does not emulate {action!r} of IAM.")
        return action

    async def handle(self, action: str, request: Request) -> Reply:
        result: Result = getattr(self, _ACTIONS[action])(read_form(request))
        return answer(action, result, request, _IAM)

    def render(self, error: ServiceError, request: Request) -> Reply:
        return render(error, request)

    def _role(self, form: Form) -> Role:
        return self._roles.get(required(form, "RoleName"))

    def _create_role(self, form: Form) -> Result:
        name, path = required(form, "RoleName"), form.get("Path", "/")
        role = Role(
            name=name,
            id="AROA" + self._new_id().replace("-", "")[:17].upper(),
            arn=f"arn:aws:iam::{self._account}:role{path}{name}",
            path=path,
            trust=required(form, "AssumeRolePolicyDocument"),
            created=self._clock.now(),
            description=form.get("Description", ""),
            tags=pairs(form, "Tags"),
        )
        self._roles.add(role)
        return {"Role": _shown(role)}

    def _get_role(self, form: Form) -> Result:
        return {"Role": _shown(self._role(form))}

    def _delete_role(self, form: Form) -> Result:
        self._roles.delete(required(form, "RoleName"))
        return {}

    def _list_roles(self, form: Form) -> Result:
        prefix = form.get("PathPrefix", "/")
        shown: list[Value] = [
            _shown(role)
            for _, role in sorted(self._roles.by_name.items())
            if role.path.startswith(prefix)
        ]
        return {"Roles": {"member": shown}, "IsTruncated": False}

    def _update_trust(self, form: Form) -> Result:
        self._role(form).trust = check_policy(required(form, "PolicyDocument"))
        return {}

    def _put_policy(self, form: Form) -> Result:
        document = check_policy(required(form, "PolicyDocument"))
        self._role(form).inline[required(form, "PolicyName")] = document
        return {}

    def _get_policy(self, form: Form) -> Result:
        role, name = self._role(form), required(form, "PolicyName")
        if name not in role.inline:
            raise no_policy(name)
        return {
            "RoleName": role.name,
            "PolicyName": name,
            "PolicyDocument": quote(role.inline[name]),
        }

    def _delete_policy(self, form: Form) -> Result:
        role, name = self._role(form), required(form, "PolicyName")
        if role.inline.pop(name, None) is None:
            raise no_policy(name)
        return {}

    def _list_policies(self, form: Form) -> Result:
        names: list[Value] = [*sorted(self._role(form).inline)]
        return {"PolicyNames": {"member": names}, "IsTruncated": False}

    def _attach_policy(self, form: Form) -> Result:
        role, arn = self._role(form), required(form, "PolicyArn")
        if not arn.startswith("arn:aws:iam::"):
            raise ServiceError("ValidationError", f"ARN {arn} is not valid.")
        if arn not in role.attached:
            role.attached.append(arn)
        return {}

    def _detach_policy(self, form: Form) -> Result:
        role, arn = self._role(form), required(form, "PolicyArn")
        if arn not in role.attached:
            raise ServiceError("NoSuchEntity", f"Policy {arn} was not found.", 404)
        role.attached.remove(arn)
        return {}

    def _list_attached(self, form: Form) -> Result:
        shown: list[Value] = [
            {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn}
            for arn in self._role(form).attached
        ]
        return {"AttachedPolicies": {"member": shown}, "IsTruncated": False}

    def _tag_role(self, form: Form) -> Result:
        self._role(form).tags.update(pairs(form, "Tags"))
        return {}

    def _untag_role(self, form: Form) -> Result:
        tags = self._role(form).tags
        for key in members(form, "TagKeys"):
            tags.pop(key, None)
        return {}

    def _list_tags(self, form: Form) -> Result:
        return {"Tags": {"member": _tags(self._role(form))}, "IsTruncated": False}

    def _list_instance_profiles(self, form: Form) -> Result:
        self._role(form)
        return {"InstanceProfiles": {"member": []}, "IsTruncated": False}

    def _simulate(self, form: Form) -> Result:
        shown: list[Value] = [
            {
                "EvalActionName": action,
                "EvalResourceName": "*",
                "EvalDecision": "explicitDeny" if self._is_denied(action) else "allowed",
            }
            for action in members(form, "ActionNames")
        ]
        return {"EvaluationResults": {"member": shown}, "IsTruncated": False}


_ACTIONS = {
    "CreateRole": "_create_role",
    "GetRole": "_get_role",
    "DeleteRole": "_delete_role",
    "ListRoles": "_list_roles",
    "UpdateAssumeRolePolicy": "_update_trust",
    "PutRolePolicy": "_put_policy",
    "GetRolePolicy": "_get_policy",
    "DeleteRolePolicy": "_delete_policy",
    "ListRolePolicies": "_list_policies",
    "AttachRolePolicy": "_attach_policy",
    "DetachRolePolicy": "_detach_policy",
    "ListAttachedRolePolicies": "_list_attached",
    "TagRole": "_tag_role",
    "UntagRole": "_untag_role",
    "ListRoleTags": "_list_tags",
    "ListInstanceProfilesForRole": "_list_instance_profiles",
    "SimulatePrincipalPolicy": "_simulate",
}


def _tags(role: Role) -> list[Value]:
    return [{"Key": key, "Value": value} for key, value in role.tags.items()]


def _shown(role: Role) -> Result:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": datetime.fromtimestamp(role.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AssumeRolePolicyDocument": quote(role.trust),
        "Description": role.description or None,
        "MaxSessionDuration": 3600,
        "Tags": {"member": _tags(role)} if role.tags else None,
    }


class Sts(Service):
    """STS: who is asking."""

    name: ClassVar[str] = "sts"

    def __init__(self, account: str) -> None:
        self._account = account

    def action(self, request: Request) -> str:
        action = read_form(request).get("Action", "")
        if action != "GetCallerIdentity":
            raise ServiceError("InvalidAction", f"localcloud does not emulate {action!r} of STS.")
        return action

    async def handle(self, action: str, request: Request) -> Reply:
        user = request.caller.rsplit("/", 1)[-1]
        identity = {"Arn": request.caller, "UserId": user, "Account": self._account}
        return answer(action, {**identity}, request, _STS)

    def render(self, error: ServiceError, request: Request) -> Reply:
        return render(error, request)


def read_form(request: Request) -> Form:
    """The parameters of a request."""
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def pairs(form: Form, name: str) -> dict[str, str]:
    """A parameter that is a list of Key and Value pairs."""
    found: dict[str, str] = {}
    for number in range(1, len(form) + 1):
        prefix = f"{name}.member.{number}"
        if prefix + ".Key" not in form:
            break
        found[form[prefix + ".Key"]] = form.get(prefix + ".Value", "")
    return found


def members(form: Form, name: str) -> list[str]:
    """A parameter that is a list of plain values."""
    numbered = (f"{name}.member.{number}" for number in range(1, len(form) + 1))
    return [form[key] for key in numbered if key in form]


def required(form: Form, name: str) -> str:
    """A parameter that must be there; raises ValidationError."""
    if not form.get(name):
        raise ServiceError("ValidationError", f"The request must contain the parameter {name}.")
    return form[name]


def answer(action: str, result: dict[str, Value], request: Request, namespace: str) -> Reply:
    """A successful answer."""
    content: dict[str, Value] = {
        action + "Result": result,
        "ResponseMetadata": {"RequestId": request.id},
    }
    body = document(action + "Response", content, namespace=namespace)
    return Reply(200, body, content_type="text/xml")


def render(error: ServiceError, request: Request) -> Reply:
    """An error document."""
    content: dict[str, Value] = {
        "Error": {
            "Type": "Sender" if error.status < 500 else "Receiver",
            "Code": error.code,
            "Message": error.message,
        },
        "RequestId": request.id,
    }
    body = document("ErrorResponse", content, namespace=False)
    return Reply(error.status, body, content_type="text/xml")
