// SPDX-License-Identifier: Apache-2.0
#include "api/policies.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;

wire::Policy show(const model::Policy& policy) { return model::to_wire(policy); }
wire::Settings show_settings(const model::Settings& settings) { return model::to_wire(settings); }

Result<model::Policy> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.policies().get(*scope, call.id);
}

void note(const Call& call, const model::Policy& policy, const char* change) {
    if (call.validate_only) return;
    log::info("api.policy_changed", {{"tenant", policy.tenant_id},
                                     {"policy", policy.id},
                                     {"number", policy.number},
                                     {"change", change}});
}

Result<model::Settings> read_settings(const std::string& tenant_id,
                                      const wire::SettingsWrite& body) {
    model::Settings settings;
    settings.tenant_id = tenant_id;
    settings.device_approval = body.device_approval.value_or(false);
    if (body.map_expiry == wire::MapExpiry::Drop) settings.map_expiry = model::MapExpiry::Drop;
    if (body.audit_retention_days) settings.audit_retention_days = *body.audit_retention_days;
    if (!body.node_key_life) return settings;
    auto life = read_duration(*body.node_key_life, "nodeKeyLife", 1h, 24h * 3650);
    if (!life) return failed(life.error());
    settings.node_key_life = *life;
    return settings;
}

// Shorter, and what an administrator did is forgotten sooner: not his to say.
Result<void> check_retention(const Call& call, const AdminIdentity& who,
                             const model::Settings& wanted) {
    if (who.role >= model::TenantRole::Owner) return {};
    auto now = call.store.policies().settings(wanted.tenant_id);
    if (!now) return failed(now.error());
    if (now->audit_retention_days == wanted.audit_retention_days) return {};
    return fail_as("ROLE_TOO_LOW", Code::Denied, "auditRetentionDays: an OWNER's to change");
}

}  // namespace

http::Response list_policies(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.policies().list(*filter), &wire::PolicyList::policies,
                         show);
}

http::Response create_policy(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::PolicyWrite>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = read_tenant(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    auto made = call.store.policies().create(
        {*tenant_id, {}, body->name, body->description.value_or(""), body->source});
    if (made) note(call, *made, "create");
    return object_response(call, 201, made, show);
}

http::Response get_policy(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response update_policy(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::PolicyWrite>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto old = find(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    if (auto same = check_same_tenant(body->tenant_id, old->tenant_id); !same)
        return error_response(same.error(), call.request.request_id);
    auto changed = call.store.policies().update(
        {old->tenant_id, old->id, body->name, body->description.value_or(""), body->source});
    if (changed) note(call, *changed, "update");
    return object_response(call, 200, changed, show);
}

http::Response delete_policy(Context&, const Call& call, const AdminIdentity& who) {
    auto old = find(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    auto gone = call.store.policies().remove({old->tenant_id, old->id});
    if (gone) note(call, *old, "delete");
    return gone_response(call, gone);
}

http::Response list_policy_revisions(Context&, const Call& call, const AdminIdentity& who) {
    auto policy = find(call, who);
    if (!policy) return error_response(policy.error(), call.request.request_id);
    auto revisions = call.store.policies().revisions({policy->tenant_id, policy->id});
    if (!revisions) return error_response(revisions.error(), call.request.request_id);
    wire::PolicyRevisionList list;
    for (const model::PolicyRevision& revision : *revisions)
        list.revisions.push_back(model::to_wire(revision));
    return json_response(200, list);
}

http::Response activate_policy(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::PolicyActivate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto old = find(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    auto changed = call.store.policies().activate({old->tenant_id, old->id}, body->number);
    if (changed) note(call, *changed, "activate");
    return object_response(call, 200, changed, show);
}

http::Response get_settings(Context&, const Call& call, const AdminIdentity& who) {
    auto tenant_id = named_tenant(who, call.query);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    return object_response(call, 200, call.store.policies().settings(*tenant_id), show_settings);
}

http::Response update_settings(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::SettingsWrite>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = named_tenant(who, call.query);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    auto wanted = read_settings(*tenant_id, *body);
    if (!wanted) return error_response(wanted.error(), call.request.request_id);
    if (auto good = check_retention(call, who, *wanted); !good)
        return error_response(good.error(), call.request.request_id);
    auto changed = call.store.policies().set_settings(*wanted);
    if (changed && !call.validate_only) log::info("api.settings_changed", {{"tenant", *tenant_id}});
    return object_response(call, 200, changed, show_settings);
}

}  // namespace cvlan::api
