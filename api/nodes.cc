// SPDX-License-Identifier: Apache-2.0
#include "api/nodes.h"

#include "api/convert.h"
#include "api/respond.h"
#include "api/tagging.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

wire::Node show(const model::Node& node) { return model::to_wire(node); }

}  // namespace

Result<model::Node> find_node(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto node = call.store.node(*scope, call.id);
    if (node)
        if (auto own = check_owner(who, node->owner); !own) return failed(own.error());
    return node;
}

namespace {

using NodeVerb = Result<model::Node> (store::Store::*)(const store::Key&);

struct Change {
    NodeVerb verb;
    const char* name;
};

http::Response change_state(const Call& call, const AdminIdentity& who, const Change& change) {
    auto node = find_node(call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto changed = (call.store.*change.verb)({node->tenant_id, node->id});
    if (changed && !call.validate_only)
        log::info("api.node_state_changed",
                  {{"tenant", node->tenant_id}, {"node", node->id}, {"change", change.name}});
    return object_response(call, 200, changed, show);
}

store::NodeChange read_change(const wire::NodeUpdate& body) {
    store::NodeChange change{body.name};
    change.tags = body.tags;
    change.key_expires_at = body.key_expires_at;
    change.never_expires = body.key_expiry_disabled.value_or(false);
    return change;
}

}  // namespace

http::Response list_nodes(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_node_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.nodes(*filter), &wire::NodeList::nodes, show);
}

http::Response create_external_node(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::ExternalNodeCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = read_tenant(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    if (auto good = check_wireguard_key(body->wireguard_public_key); !good)
        return error_response(good.error(), call.request.request_id);
    if (auto good = check_may_tag(call.store, who, *tenant_id, body->tags); !good)
        return error_response(good.error(), call.request.request_id);
    auto made = call.store.create_external(
        {*tenant_id, body->name, body->network_id, body->wireguard_public_key, body->tags});
    if (made && !call.validate_only)
        log::info("api.external_node_created",
                  {{"tenant", made->tenant_id}, {"node", made->id}, {"name", made->name}});
    return object_response(call, 201, made, show);
}

http::Response get_node(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find_node(call, who), show);
}

http::Response update_node(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::NodeUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto node = find_node(call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    const bool moves_end = body->key_expires_at || body->key_expiry_disabled;
    if (moves_end && who.role < model::TenantRole::Admin)
        return refusal(403, "ROLE_TOO_LOW", "when a key ends is an administrator's to say",
                       call.request.request_id);
    if (body->tags) {
        const auto moved = difference(*body->tags, node->tags);
        if (auto good = check_may_tag(call.store, who, node->tenant_id, moved); !good)
            return error_response(good.error(), call.request.request_id);
    }
    auto changed = call.store.update_node({node->tenant_id, node->id}, read_change(*body));
    if (changed && !call.validate_only)
        log::info("api.node_changed",
                  {{"tenant", node->tenant_id}, {"node", node->id}, {"name", changed->name}});
    return object_response(call, 200, changed, show);
}

http::Response delete_node(Context&, const Call& call, const AdminIdentity& who) {
    auto node = find_node(call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto gone = call.store.delete_node({node->tenant_id, node->id});
    if (gone && !call.validate_only)
        log::info("api.node_deleted", {{"tenant", node->tenant_id}, {"node", node->id}});
    return gone_response(call, gone);
}

http::Response approve_node(Context&, const Call& call, const AdminIdentity& who) {
    return change_state(call, who, {&store::Store::approve_node, "approve"});
}

http::Response expire_node(Context&, const Call& call, const AdminIdentity& who) {
    return change_state(call, who, {&store::Store::expire_node, "expire"});
}

http::Response revoke_node(Context&, const Call& call, const AdminIdentity& who) {
    return change_state(call, who, {&store::Store::revoke_node, "revoke"});
}

}  // namespace cvlan::api
