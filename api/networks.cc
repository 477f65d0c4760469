// SPDX-License-Identifier: Apache-2.0
#include "api/networks.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

// "none" and absence are no prefix. The error names the field.
Result<std::optional<Prefix>> read_prefix(const std::optional<std::string>& text, const char* field,
                                          Family family) {
    if (!text || *text == "none") return std::optional<Prefix>{};
    auto prefix = Prefix::parse(*text);
    if (prefix && prefix->family() != family)
        prefix = fail(Code::Invalid, "{} is of the other family", *text);
    if (prefix) return std::optional(*prefix);
    Error error = prefix.error().while_doing(field);
    error.pointer = fmt::format("/{}", field);
    return failed(error);
}

Result<store::NewNetwork> read_network(const wire::NetworkCreate& body) {
    store::NewNetwork network;
    network.tenant_id = body.tenant_id;
    network.name = body.name;
    auto ipv4 = read_prefix(body.ipv4, "ipv4", Family::V4);
    if (!ipv4) return failed(ipv4.error());
    network.ipv4 = *ipv4;
    network.ipv6_auto = body.ipv6 == "auto";
    if (!network.ipv6_auto) {
        auto ipv6 = read_prefix(body.ipv6, "ipv6", Family::V6);
        if (!ipv6) return failed(ipv6.error());
        network.ipv6 = *ipv6;
    }
    if (body.mtu) network.mtu = static_cast<uint16_t>(*body.mtu);
    if (body.data_plane) network.data_plane = model::from_wire(*body.data_plane);
    if (body.crypto_profile) network.crypto_profile = model::from_wire(*body.crypto_profile);
    network.ipsec_tags = body.ipsec_tags;
    if (body.topology) network.topology = model::from_wire(*body.topology);
    return network;
}

// A network which held the controller's own address would draw the nodes' way to it into the
// tunnel.
Result<void> check_own_address(const Settings& settings, const store::NewNetwork& network) {
    for (const Address& own : settings.own_addresses)
        for (const auto& prefix : {network.ipv4, network.ipv6})
            if (prefix && prefix->contains(own))
                return fail(Code::Conflict, "{} holds the controller's own address {}",
                            prefix->text(), own.text());
    return {};
}

wire::Network show(const model::Network& network) { return model::to_wire(network); }

Result<model::Network> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.network(*scope, call.id);
}

}  // namespace

http::Response list_networks(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.networks(*filter), &wire::NetworkList::networks, show);
}

http::Response create_network(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::NetworkCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (auto own = check_tenant(who, body->tenant_id); !own)
        return error_response(own.error(), call.request.request_id);
    auto network = read_network(*body);
    if (!network) return error_response(network.error(), call.request.request_id);
    if (auto good = check_own_address(context.settings, *network); !good)
        return error_response(good.error(), call.request.request_id);
    auto made = call.store.create_network(*network);
    if (made && !call.validate_only)
        log::info("api.network_created",
                  {{"tenant", made->tenant_id}, {"network", made->id}, {"name", made->name}});
    return object_response(call, 201, made, show);
}

http::Response get_network(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response update_network(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::NetworkUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto network = find(call, who);
    if (!network) return error_response(network.error(), call.request.request_id);
    store::NetworkChange change{.name = body->name};
    if (body->data_plane) change.data_plane = model::from_wire(*body->data_plane);
    if (body->crypto_profile) change.crypto_profile = model::from_wire(*body->crypto_profile);
    change.ipsec_tags = body->ipsec_tags;
    if (body->topology) change.topology = model::from_wire(*body->topology);
    auto changed = call.store.change_network({network->tenant_id, call.id}, change);
    if (changed && !call.validate_only)
        log::info("api.network_changed",
                  {{"tenant", changed->tenant_id},
                   {"network", changed->id},
                   {"name", changed->name},
                   {"data_plane", text(model::to_wire(changed->data_plane))}});
    return object_response(call, 200, changed, show);
}

http::Response delete_network(Context&, const Call& call, const AdminIdentity& who) {
    auto network = find(call, who);
    if (!network) return error_response(network.error(), call.request.request_id);
    auto gone = call.store.delete_network({network->tenant_id, call.id});
    if (gone && !call.validate_only)
        log::info("api.network_deleted", {{"tenant", network->tenant_id}, {"network", call.id}});
    return gone_response(call, gone);
}

}  // namespace cvlan::api
