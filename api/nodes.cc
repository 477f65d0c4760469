// SPDX-License-Identifier: Apache-2.0
#include "api/nodes.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

Result<model::Node> find_node(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto node = context.store.node(*scope, call.id);
    if (node)
        if (auto own = check_owner(who, node->owner); !own) return failed(own.error());
    return node;
}

struct StateChange {
    Result<model::Node> (store::Store::*verb)(const store::Key&);
    const char* name;
};

http::Response change_state(Context& context, const Call& call, const AdminIdentity& who,
                            const StateChange& change) {
    auto node = find_node(context, call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto changed = (call.store.*change.verb)({node->tenant_id, node->id});
    if (!changed) return error_response(changed.error(), call.request.request_id);
    log::info("api.node_state_changed",
              {{"tenant", node->tenant_id}, {"node", node->id}, {"change", change.name}});
    return json_response(200, to_wire(*changed));
}

}  // namespace

http::Response list_nodes(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.nodes(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::NodeList list;
    for (const model::Node& node : page->items) list.nodes.push_back(to_wire(node));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response get_node(Context& context, const Call& call, const AdminIdentity& who) {
    auto node = find_node(context, call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    return json_response(200, to_wire(*node));
}

http::Response update_node(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::NodeUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto node = find_node(context, call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto renamed = call.store.rename_node({node->tenant_id, node->id}, body->name);
    if (!renamed) return error_response(renamed.error(), call.request.request_id);
    log::info("api.node_renamed",
              {{"tenant", node->tenant_id}, {"node", node->id}, {"name", renamed->name}});
    return json_response(200, to_wire(*renamed));
}

http::Response delete_node(Context& context, const Call& call, const AdminIdentity& who) {
    auto node = find_node(context, call, who);
    if (!node) return error_response(node.error(), call.request.request_id);
    auto gone = call.store.delete_node({node->tenant_id, node->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.node_deleted", {{"tenant", node->tenant_id}, {"node", node->id}});
    return no_content();
}

http::Response expire_node(Context& context, const Call& call, const AdminIdentity& who) {
    return change_state(context, call, who, {&store::Store::expire_node, "expire"});
}

http::Response revoke_node(Context& context, const Call& call, const AdminIdentity& who) {
    return change_state(context, call, who, {&store::Store::revoke_node, "revoke"});
}

}  // namespace cvlan::api
