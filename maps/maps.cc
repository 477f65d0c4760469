// SPDX-License-Identifier: Apache-2.0
#include "maps/maps.h"

#include <charconv>
#include <unordered_map>

#include "base/log.h"

namespace cvlan::maps {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;

constexpr auto kMapLife = 24h * 7;        // decisions.md: a map's life without a controller
constexpr auto kHeadRenewedAfter = 24h;   // so that a node in contact always has most of it left
constexpr size_t kMaxTombstones = 10000;  // a network; who is further behind gets a full map

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

struct Maps::Fragment {
    int64_t revision = 0;
    bool removed = false;
    std::string key;                          // kind and id
    std::shared_ptr<const std::string> json;  // SignedBytes, as it goes over the wire
};

struct Maps::Network {
    std::map<std::string, std::shared_ptr<const Fragment>> current;  // by key
    std::multimap<int64_t, std::shared_ptr<const Fragment>>
        by_revision;  // the same, in order of change
    std::set<std::string> members;
    size_t tombstones = 0;
    int64_t floor = 0;  // what was removed before is not known any more

    void erase_from_order(const Fragment& old) {
        const auto [first, last] = by_revision.equal_range(old.revision);
        for (auto entry = first; entry != last; ++entry) {
            if (entry->second->key != old.key) continue;
            by_revision.erase(entry);
            return;
        }
    }
    void put(std::shared_ptr<const Fragment> fragment) {
        auto& slot = current[fragment->key];
        if (slot) {
            erase_from_order(*slot);
            tombstones -= slot->removed ? 1 : 0;
        }
        tombstones += fragment->removed ? 1 : 0;
        slot = fragment;
        by_revision.emplace(fragment->revision, std::move(fragment));
        if (tombstones > kMaxTombstones) forget_tombstones();
    }
    void forget_tombstones() {
        for (auto entry = by_revision.begin(); entry != by_revision.end();) {
            if (!entry->second->removed) {
                ++entry;
                continue;
            }
            floor = std::max(floor, entry->first);
            current.erase(entry->second->key);
            entry = by_revision.erase(entry);
        }
        tombstones = 0;
    }
};

struct Maps::Node {
    std::set<std::string> networks;
    int64_t networks_changed_at = 0;  // a map from before is answered in full
    std::optional<WallTime> head_issued_at;
};

struct Maps::Tenant {
    std::string id;
    int64_t epoch = 1;
    int64_t revision = 0;
    bool is_held_back = false;
    std::unordered_map<std::string, Network> networks;
    std::unordered_map<std::string, Node> nodes;
};

Maps::Maps(Sign sign, const Clock& clock) : sign_(std::move(sign)), clock_(clock) {}
Maps::~Maps() = default;

Maps::Tenant* Maps::find(const std::string& tenant_id) {
    const auto found = tenants_.find(tenant_id);
    return found == tenants_.end() ? nullptr : found->second.get();
}

namespace {

wire::MapFragment network_fragment(const model::Network& network, int64_t revision) {
    wire::MapFragment fragment;
    fragment.scope = network.id;
    fragment.kind = wire::FragmentKind::Network;
    fragment.id = network.id;
    fragment.revision = revision;
    auto& shown = fragment.network.emplace();
    shown.name = network.name;
    shown.mtu = network.mtu;
    if (network.ipv4) shown.ipv4 = network.ipv4->text();
    if (network.ipv6) shown.ipv6 = network.ipv6->text();
    return fragment;
}

wire::MapFragment peer_fragment(const std::string& name, const model::Membership& membership,
                                int64_t revision) {
    wire::MapFragment fragment;
    fragment.scope = membership.network_id;
    fragment.kind = wire::FragmentKind::Peer;
    fragment.id = membership.node_id;
    fragment.revision = revision;
    auto& shown = fragment.peer.emplace();
    shown.name = name;
    shown.data_plane = wire::DataPlane::Wireguard;
    if (membership.ipv4) shown.addresses.push_back(membership.ipv4->text());
    if (membership.ipv6) shown.addresses.push_back(membership.ipv6->text());
    if (!membership.wireguard_key.empty()) shown.wireguard_public_key = membership.wireguard_key;
    for (const Endpoint& endpoint : membership.endpoints)
        shown.endpoints.push_back(endpoint.text());
    return fragment;
}

wire::MapFragment tombstone(const std::string& scope, const std::string& id, int64_t revision) {
    wire::MapFragment fragment;
    fragment.scope = scope;
    fragment.kind = scope == id ? wire::FragmentKind::Network : wire::FragmentKind::Peer;
    fragment.id = id;
    fragment.revision = revision;
    fragment.removed = true;
    return fragment;
}

}  // namespace

Result<std::shared_ptr<const Maps::Fragment>> Maps::encode(const Tenant& tenant,
                                                           const wire::MapFragment& fragment) {
    auto signed_bytes = sign_(tenant.id, wire::encode(fragment));
    if (!signed_bytes) return failed(signed_bytes.error().while_doing("sign a map fragment"));
    counters_.fragments_encoded++;
    auto encoded = std::make_shared<Fragment>();
    encoded->revision = fragment.revision;
    encoded->removed = fragment.removed.value_or(false);
    encoded->key = fmt::format("{} {}", text(fragment.kind), fragment.id);
    encoded->json = std::make_shared<const std::string>(wire::encode(*signed_bytes));
    return encoded;
}

Result<Touched> Maps::publish(Tenant& tenant, const wire::MapFragment& fragment) {
    auto encoded = encode(tenant, fragment);
    if (!encoded) return failed(encoded.error());
    Network& network = tenant.networks[fragment.scope];
    network.put(std::move(*encoded));
    tenant.revision = std::max(tenant.revision, fragment.revision);
    return Touched(network.members.begin(), network.members.end());
}

Touched Maps::load(const std::string& tenant_id, int64_t epoch, const store::MapInputs& inputs) {
    auto& slot = tenants_[tenant_id];
    std::set<std::string> touched;
    if (slot)
        for (const auto& [id, node] : slot->nodes) touched.insert(id);
    slot = std::make_unique<Tenant>();
    Tenant& tenant = *slot;
    tenant.id = tenant_id;
    tenant.epoch = epoch;
    const auto leave_out = [&](std::string_view kind, const std::string& id, const Error& why) {
        log::error("maps.object_left_out",
                   {{"tenant", tenant.id}, {"kind", kind}, {"id", id}, {"reason", why.message}});
    };
    for (const model::Network& network : inputs.networks) {
        auto put = publish(tenant, network_fragment(network, network.revision));
        if (!put) leave_out("network", network.id, put.error());
        // What was removed before we started is not known: older maps are answered in full.
        tenant.networks[network.id].floor = inputs.revision;
    }
    for (const store::MapMember& member : inputs.members) {
        const model::Membership& membership = member.membership;
        auto put =
            publish(tenant, peer_fragment(member.node_name, membership, membership.revision));
        if (!put) leave_out("node", membership.node_id, put.error());
        tenant.nodes[membership.node_id].networks.insert(membership.network_id);
        tenant.networks[membership.network_id].members.insert(membership.node_id);
        touched.insert(membership.node_id);
    }
    tenant.revision = inputs.revision;
    return Touched(touched.begin(), touched.end());
}

void Maps::drop_tenant(const std::string& tenant_id) { tenants_.erase(tenant_id); }

void Maps::hold_back(const std::string& tenant_id) {
    auto& slot = tenants_[tenant_id];
    if (!slot) slot = std::make_unique<Tenant>();
    slot->id = tenant_id;
    slot->is_held_back = true;
}

Result<Touched> Maps::put_network(const model::Network& network, int64_t revision) {
    Tenant* tenant = find(network.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", network.tenant_id);
    auto touched = publish(*tenant, network_fragment(network, revision));
    if (touched) counters_.node_maps_touched += touched->size();
    return touched;
}

Result<Touched> Maps::remove_network(const std::string& tenant_id, const std::string& network_id,
                                     int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    Touched touched;
    for (auto& [id, node] : tenant->nodes) {
        if (node.networks.erase(network_id) == 0) continue;
        node.networks_changed_at = revision;
        touched.push_back(id);
    }
    tenant->networks.erase(network_id);
    tenant->revision = std::max(tenant->revision, revision);
    counters_.node_maps_touched += touched.size();
    return touched;
}

Result<void> Maps::publish_membership(Tenant& tenant, const model::Node& node,
                                      const model::Membership& membership, int64_t revision,
                                      std::set<std::string>& touched) {
    if (!tenant.networks.contains(membership.network_id))
        return fail(Code::NotFound, "maps: no network {}", membership.network_id);
    Node& entry = tenant.nodes[node.id];
    if (entry.networks.insert(membership.network_id).second) entry.networks_changed_at = revision;
    tenant.networks[membership.network_id].members.insert(node.id);
    // A membership that did not change keeps its fragment: a node in ten networks with one new
    // endpoint costs one.
    const auto& current = tenant.networks[membership.network_id].current;
    const auto old = current.find(fmt::format("{} {}", text(wire::FragmentKind::Peer), node.id));
    const bool same = old != current.end() && !old->second->removed &&
                      old->second->revision >= membership.revision;
    if (same) return {};
    auto members = publish(tenant, peer_fragment(node.name, membership, revision));
    if (!members) return failed(members.error());
    touched.insert(members->begin(), members->end());
    return {};
}

Result<Touched> Maps::put_node(const model::Node& node, int64_t revision) {
    Tenant* tenant = find(node.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", node.tenant_id);
    // An expired node that is renamed, say, is in nobody's map.
    if (node.state != model::NodeState::Active) return Touched{};
    std::set<std::string> touched;
    std::set<std::string> now_in;
    for (const model::Membership& membership : node.memberships) {
        now_in.insert(membership.network_id);
        auto put = publish_membership(*tenant, node, membership, revision, touched);
        if (!put) return failed(put.error());
    }
    Node& entry = tenant->nodes[node.id];
    const std::set<std::string> before = entry.networks;
    for (const std::string& network_id : before) {
        if (now_in.contains(network_id)) continue;
        auto members = publish(*tenant, tombstone(network_id, node.id, revision));
        if (!members) return failed(members.error());
        touched.insert(members->begin(), members->end());
        tenant->networks[network_id].members.erase(node.id);
        entry.networks.erase(network_id);
        entry.networks_changed_at = revision;
    }
    counters_.node_maps_touched += touched.size();
    return Touched(touched.begin(), touched.end());
}

Result<Touched> Maps::remove_node(const std::string& tenant_id, const std::string& node_id,
                                  int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    std::set<std::string> touched;
    for (const std::string& network_id : tenant->nodes[node_id].networks) {
        auto members = publish(*tenant, tombstone(network_id, node_id, revision));
        if (!members) return failed(members.error());
        touched.insert(members->begin(), members->end());
        tenant->networks[network_id].members.erase(node_id);
    }
    tenant->nodes.erase(node_id);
    touched.insert(node_id);  // its held poll must hear of it
    counters_.node_maps_touched += touched.size();
    return Touched(touched.begin(), touched.end());
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

Result<std::optional<http::Response>> Maps::answer(const std::string& tenant_id,
                                                   const std::string& node_id,
                                                   std::optional<Since> since) {
    Tenant* tenant = find(tenant_id);
    if (tenant && tenant->is_held_back)
        return fail(Code::Unavailable, "the maps of this tenant are being loaded anew");
    if (!tenant || !tenant->nodes.contains(node_id))
        return fail(Code::NotFound, "no node {} in this tenant's maps", node_id);
    Node& node = tenant->nodes[node_id];

    bool is_full = !since || since->epoch != tenant->epoch || since->revision > tenant->revision ||
                   since->revision < node.networks_changed_at;
    for (const std::string& id : node.networks)
        is_full = is_full || since->revision < tenant->networks[id].floor;

    std::vector<std::shared_ptr<const Fragment>> fragments;
    for (const std::string& id : node.networks) {
        const auto& order = tenant->networks[id].by_revision;
        auto entry = is_full ? order.begin() : order.upper_bound(since->revision);
        for (; entry != order.end(); ++entry)
            if (!is_full || !entry->second->removed) fragments.push_back(entry->second);
    }
    const bool head_due =
        is_full || !node.head_issued_at || clock_.now() - *node.head_issued_at > kHeadRenewedAfter;
    if (!head_due && fragments.empty()) return std::optional<http::Response>{};
    std::string head;
    if (head_due) {
        auto made = sign_head(*tenant, node_id, node);
        if (!made) return failed(made.error());
        head = std::move(*made);
    }
    return std::optional(respond(*tenant, is_full, head, fragments));
}

Result<Touched> Maps::apply(const store::Event& event, store::Store& store) {
    const Tenant* tenant = find(event.tenant_id);
    const bool is_whole = event.kind == store::EventKind::TenantCreated ||
                          event.kind == store::EventKind::TenantDeleted;
    if (tenant && tenant->is_held_back && !is_whole)
        return fail(Code::Unavailable, "maps: tenant {} is held back", event.tenant_id);
    auto touched = bring_in(event, store);
    if (!touched) hold_back(event.tenant_id);
    return touched;
}

Result<Touched> Maps::bring_in(const store::Event& event, store::Store& store) {
    using store::EventKind;
    switch (event.kind) {
        case EventKind::TenantCreated:
            load(event.tenant_id, store.epoch(),
                 {.revision = event.revision, .networks = {}, .members = {}});
            return Touched{};
        case EventKind::TenantDeleted:
            drop_tenant(event.tenant_id);
            return Touched{};
        case EventKind::NetworkCreated:
        case EventKind::NetworkRenamed: {
            auto network = store.network(event.tenant_id, event.object_id);
            if (!network) return failed(network.error());
            return put_network(*network, event.revision);
        }
        case EventKind::NetworkDeleted:
            return remove_network(event.tenant_id, event.object_id, event.revision);
        case EventKind::NodeEnrolled:
        case EventKind::NodeJoined:
        case EventKind::NodeRenamed:
        case EventKind::EndpointsChanged: {
            auto node = store.node(event.tenant_id, event.object_id);
            if (!node) return failed(node.error());
            return put_node(*node, event.revision);
        }
        case EventKind::NodeExpired:
        case EventKind::NodeRevoked:
        case EventKind::NodeDeleted:
            return remove_node(event.tenant_id, event.object_id, event.revision);
        default:
            return Touched{};  // tokens, names of tenants, certificates: in nobody's map
    }
}

}  // namespace cvlan::maps
