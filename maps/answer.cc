// SPDX-License-Identifier: Apache-2.0
// What a poll is answered.
#include <fmt/ranges.h>

#include <charconv>

#include "maps/maps.h"
#include "maps/tenant.h"

namespace cvlan::maps {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;

constexpr auto kMapLife = 24h * 7;       // decisions.md: a map's life without a controller
constexpr auto kHeadRenewedAfter = 24h;  // so that a node in contact always has most of it left
// What is kept of deltas for others who ask the same, until the tenant's next change.
constexpr size_t kSharedDeltas = 256;
constexpr size_t kSharedFragments = 16;

}  // namespace

Result<Since> Since::parse(std::string_view text) {
    Since since;
    const char* end = text.data() + text.size();
    const auto [dot, bad_epoch] = std::from_chars(text.data(), end, since.epoch);
    if (bad_epoch == std::errc() && dot != end && *dot == '.') {
        const auto [stop, bad_revision] = std::from_chars(dot + 1, end, since.revision);
        if (bad_revision == std::errc() && stop == end && since.epoch >= 0 && since.revision >= 0)
            return since;
    }
    return fail(Code::Invalid, "query parameter 'since': must be <epoch>.<revision>");
}

Result<std::string> Maps::sign_head(const Tenant& tenant, const std::string& node_id, Node& node) {
    wire::MapHead head;
    head.tenant_id = tenant.id;
    head.node_id = node_id;
    head.network_ids.assign(node.networks.begin(), node.networks.end());
    head.epoch = tenant.epoch;
    head.revision = tenant.revision;
    head.issued_at = clock_.now();
    head.expires_at = head.issued_at + kMapLife;
    // KEEP is what a head without it says.
    if (tenant.map_expiry == model::MapExpiry::Drop) head.map_expiry = wire::MapExpiry::Drop;
    auto signed_bytes = sign_(tenant.id, wire::encode(head));
    if (!signed_bytes) return failed(signed_bytes.error().while_doing("sign a map head"));
    counters_.heads_signed++;
    node.head_issued_at = head.issued_at;
    return wire::encode(*signed_bytes);
}

http::Response Maps::respond(const Tenant& tenant, bool is_full, const std::string& head,
                             const std::vector<std::shared_ptr<const Fragment>>& fragments) {
    static const auto kComma = std::make_shared<const std::string>(",");
    static const auto kEnd = std::make_shared<const std::string>("]}");
    http::Response response;
    response.content_type = "application/json";
    response.body = fmt::format(R"({{"kind":"{}","epoch":"{}","revision":"{}",{}"fragments":[)",
                                is_full ? "FULL" : "DELTA", tenant.epoch, tenant.revision,
                                head.empty() ? "" : fmt::format(R"("head":{},)", head));
    size_t bytes = response.body.size() + kEnd->size();
    for (const auto& fragment : fragments) {
        if (!response.chunks.empty()) response.chunks.push_back(kComma);
        response.chunks.push_back(fragment->json);
        bytes += fragment->json->size() + 1;
    }
    response.chunks.push_back(kEnd);
    (is_full ? counters_.full_maps : counters_.deltas)++;
    (is_full ? counters_.bytes_full : counters_.bytes_delta) += bytes;
    return response;
}

bool Maps::needs_full(const Tenant& tenant, const Node& node, const std::optional<Since>& since) {
    if (!since || since->epoch != tenant.epoch || since->revision < node.networks_changed_at)
        return true;
    if (node.is_in && since->revision < tenant.relay_shelf.floor) return true;
    if (node.is_relay && since->revision < tenant.barred_shelf.floor) return true;
    return std::any_of(node.networks.begin(), node.networks.end(),
                       [&](const std::string& id) {
                           const auto network = tenant.networks.find(id);
                           return network != tenant.networks.end() &&
                                  since->revision < network->second.floor;
                       }) ||
           std::any_of(node.gateway_of.begin(), node.gateway_of.end(), [&](const std::string& id) {
               const auto network = tenant.networks.find(id);
               return network != tenant.networks.end() &&
                      since->revision < network->second.connections.floor;
           });
}

// Without `since` all that is there, else what changed after it.
Maps::Fragments Maps::fragments_of(const Tenant& tenant, const Node& node,
                                   std::optional<int64_t> since) {
    Fragments fragments;
    const auto add = [&](const Shelf& shelf) {
        const auto& order = shelf.by_revision;
        auto entry = since ? order.upper_bound(*since) : order.begin();
        for (; entry != order.end(); ++entry)
            if (since || !(*entry)->removed) fragments.push_back(*entry);
    };
    if (node.is_in) add(tenant.relay_shelf);
    if (node.is_in && node.is_relay) add(tenant.barred_shelf);
    for (const std::string& id : node.networks)
        if (const auto network = tenant.networks.find(id); network != tenant.networks.end())
            add(network->second);
    for (const std::string& id : node.gateway_of)
        if (const auto network = tenant.networks.find(id); network != tenant.networks.end())
            add(network->second.connections);
    return fragments;
}

// The same bytes for all who have this revision of these networks, or for all relays. Nullopt:
// nothing is new.
std::optional<http::Response> Maps::delta(Tenant& tenant, const Node& node, int64_t since) {
    const char* whose = node.is_relay ? "relay" : node.is_in ? "node" : "pending";
    const std::string asked =
        fmt::format("{} {} {} gateway of {}", since, whose, fmt::join(node.networks, " "),
                    fmt::join(node.gateway_of, " "));
    http::Response response;
    response.content_type = "application/json";
    if (const auto known = tenant.deltas.find(asked); known != tenant.deltas.end()) {
        if (!known->second) return std::nullopt;
        counters_.deltas++;
        counters_.bytes_delta += known->second->size();
        response.chunks.push_back(known->second);
        return response;
    }
    const Fragments fragments = fragments_of(tenant, node, since);
    std::shared_ptr<const std::string> whole;
    if (!fragments.empty()) {
        counters_.deltas_encoded++;
        response = respond(tenant, false, "", fragments);
        if (fragments.size() > kSharedFragments) return response;
        std::string body = std::move(response.body);
        for (const auto& chunk : response.chunks) body += *chunk;
        whole = std::make_shared<const std::string>(std::move(body));
        response.body.clear();
        response.chunks.assign(1, whole);
    }
    if (tenant.deltas.size() < kSharedDeltas) tenant.deltas.emplace(asked, whole);
    return whole ? std::optional(std::move(response)) : std::nullopt;
}

Result<std::optional<http::Response>> Maps::answer(const std::string& tenant_id,
                                                   const std::string& node_id,
                                                   std::optional<Since> since) {
    Tenant* tenant = find(tenant_id);
    if (tenant && tenant->is_held_back)
        return fail(Code::Unavailable, "the maps of this tenant are being loaded anew");
    if (!tenant || !tenant->nodes.contains(node_id))
        return fail(Code::NotFound, "no node {} in this tenant's maps", node_id);
    Node& node = tenant->nodes[node_id];
    // Another controller told it what has yet to come to these maps; it takes no older one.
    const bool is_ahead =
        since && since->epoch == tenant->epoch && since->revision > tenant->revision;
    if (is_ahead) return std::optional<http::Response>();

    const bool is_full = needs_full(*tenant, node, since);
    const bool head_due =
        is_full || !node.head_issued_at || clock_.now() - *node.head_issued_at > kHeadRenewedAfter;
    if (!head_due) return delta(*tenant, node, since->revision);
    auto head = sign_head(*tenant, node_id, node);
    if (!head) return failed(head.error());
    const auto after = is_full ? std::nullopt : std::optional(since->revision);
    return std::optional(respond(*tenant, is_full, *head, fragments_of(*tenant, node, after)));
}

std::vector<std::string> Maps::networks_of(const std::string& tenant_id,
                                           const std::string& node_id) {
    const Tenant* tenant = find(tenant_id);
    if (!tenant) return {};
    const auto node = tenant->nodes.find(node_id);
    if (node == tenant->nodes.end()) return {};
    return {node->second.networks.begin(), node->second.networks.end()};
}

}  // namespace cvlan::maps
