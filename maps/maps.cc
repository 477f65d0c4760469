// SPDX-License-Identifier: Apache-2.0
#include "maps/maps.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <unordered_map>

#include "base/log.h"

namespace cvlan::maps {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;

constexpr auto kMapLife = 24h * 7;        // decisions.md: a map's life without a controller
constexpr auto kHeadRenewedAfter = 24h;   // so that a node in contact always has most of it left
constexpr size_t kMaxTombstones = 10000;  // a network; who is further behind gets a full map
// What is kept of deltas for others who ask the same, until the tenant's next change.
constexpr size_t kSharedDeltas = 256;
constexpr size_t kSharedFragments = 16;

}  // namespace

Result<Change> read_change(const store::Event& event, store::Store& store) {
    using store::EventKind;
    Change change{event, store.epoch()};
    switch (event.kind) {
        case EventKind::NetworkCreated:
        case EventKind::NetworkRenamed: {
            auto network = store.network(event.tenant_id, event.object_id);
            if (network) change.network = std::move(*network);
            if (!network && network.error().code != Code::NotFound) return failed(network.error());
            return change;
        }
        case EventKind::NodeEnrolled:
        case EventKind::NodeJoined:
        case EventKind::NodeRenamed:
        case EventKind::NodeApproved:
        case EventKind::EndpointsChanged: {
            auto node = store.node(event.tenant_id, event.object_id);
            if (node) change.node = std::move(*node);
            if (!node && node.error().code != Code::NotFound) return failed(node.error());
            return change;
        }
        case EventKind::SettingsChanged: {
            auto settings = store.policies().settings(event.tenant_id);
            if (settings) change.map_expiry = settings->map_expiry;
            if (!settings && settings.error().code != Code::NotFound)
                return failed(settings.error());
            return change;
        }
        default:
            return change;
    }
}

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
    model::Network network;  // as it was published last
    using Shared = std::shared_ptr<const Fragment>;
    // In order of change; a look is by revision alone.
    struct Older {
        using is_transparent = void;
        bool operator()(const Shared& a, const Shared& b) const {
            return std::tie(a->revision, a->key) < std::tie(b->revision, b->key);
        }
        bool operator()(int64_t a, const Shared& b) const { return a < b->revision; }
    };
    std::unordered_map<std::string, Shared> current;  // by key
    std::set<Shared, Older> by_revision;              // the same
    size_t members = 0;
    size_t tombstones = 0;
    int64_t floor = 0;  // what was removed before is not known any more

    void put(Shared fragment) {
        Shared& slot = current[fragment->key];
        if (slot) {
            by_revision.erase(slot);
            tombstones -= slot->removed ? 1 : 0;
        }
        tombstones += fragment->removed ? 1 : 0;
        slot = fragment;
        by_revision.insert(std::move(fragment));
        if (tombstones > kMaxTombstones) forget_tombstones();
    }
    void forget_tombstones() {
        for (auto entry = by_revision.begin(); entry != by_revision.end();) {
            if (!(*entry)->removed) {
                ++entry;
                continue;
            }
            floor = std::max(floor, (*entry)->revision);
            current.erase((*entry)->key);
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
    int64_t loaded_at = 0;  // the revision that load() was given
    bool is_held_back = false;
    model::MapExpiry map_expiry = model::MapExpiry::Keep;
    std::unordered_map<std::string, Network> networks;
    std::unordered_map<std::string, Node> nodes;

    // By networks and since; null where nothing is new. Until the next change of a map.
    std::unordered_map<std::string, std::shared_ptr<const std::string>> deltas;
};

struct Maps::Update {
    Tenant& tenant;
    int64_t revision = 0;
    Touched touched{};
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

Result<void> Maps::publish(Update& update, const wire::MapFragment& fragment) {
    auto encoded = encode(update.tenant, fragment);
    if (!encoded) return failed(encoded.error());
    update.tenant.networks[fragment.scope].put(std::move(*encoded));
    update.touched.networks.insert(fragment.scope);
    return {};
}

// The tenant is at the update's revision from here on.
Result<Touched> Maps::counted(Update update) {
    Tenant& tenant = update.tenant;
    tenant.revision = std::max(tenant.revision, update.revision);
    tenant.deltas.clear();
    for (const std::string& id : update.touched.networks)
        counters_.node_maps_touched += tenant.networks[id].members;
    return std::move(update.touched);
}

Touched Maps::load(const std::string& tenant_id, int64_t epoch, const store::MapInputs& inputs) {
    auto& slot = tenants_[tenant_id];
    Touched touched;
    if (slot) {
        for (const auto& [id, network] : slot->networks) touched.networks.insert(id);
        for (const auto& [id, node] : slot->nodes) touched.nodes.insert(id);
    }
    slot = std::make_unique<Tenant>();
    Tenant& tenant = *slot;
    tenant.id = tenant_id;
    tenant.epoch = epoch;
    tenant.map_expiry = inputs.map_expiry;
    quarantine_.erase_tenant(tenant_id);
    Update update{tenant, inputs.revision, std::move(touched)};
    const auto leave_out = [&](std::string_view kind, const std::string& id, const Error& why) {
        log::error("maps.object_left_out",
                   {{"tenant", tenant.id}, {"kind", kind}, {"id", id}, {"reason", why.message}});
    };
    for (const model::Network& network : inputs.networks) {
        if (!is_fit({tenant_id, network.id}, fault_of(network))) continue;
        tenant.networks[network.id].network = network;
        auto put = publish(update, network_fragment(network, network.revision));
        if (!put) leave_out("network", network.id, put.error());
        // What was removed is not known: a map from before that is answered in full.
        tenant.networks[network.id].floor = inputs.removed_at;
    }
    for (const store::MapMember& member : inputs.members) {
        const model::Membership& membership = member.membership;
        tenant.nodes[membership.node_id];
        update.touched.nodes.insert(membership.node_id);
        const auto network = tenant.networks.find(membership.network_id);
        if (network == tenant.networks.end()) continue;
        if (!is_fit({tenant_id, network->first, membership.node_id},
                    fault_of(member.node_name, membership, network->second.network)))
            continue;
        auto put =
            publish(update, peer_fragment(member.node_name, membership, membership.revision));
        if (!put) leave_out("node", membership.node_id, put.error());
        Node& node = tenant.nodes[membership.node_id];
        node.networks.insert(membership.network_id);
        node.networks_changed_at = member.came_in_at;
        ++network->second.members;
    }
    for (const std::string& id : inputs.pending) {
        tenant.nodes[id];
        update.touched.nodes.insert(id);
    }
    tenant.revision = tenant.loaded_at = inputs.revision;
    return update.touched;
}

bool Maps::is_fit(const Place& place, const std::optional<std::string>& fault) {
    if (quarantine_.put(place, fault, clock_.now()) && fault)
        log::error("maps.object_quarantined", {{"tenant", place.tenant_id},
                                               {"network", place.network_id},
                                               {"node", place.node_id},
                                               {"reason", *fault}});
    return !fault;
}

void Maps::drop_tenant(const std::string& tenant_id) {
    tenants_.erase(tenant_id);
    quarantine_.erase_tenant(tenant_id);
}

void Maps::hold_back(const std::string& tenant_id) {
    auto& slot = tenants_[tenant_id];
    if (!slot) slot = std::make_unique<Tenant>();
    slot->id = tenant_id;
    slot->is_held_back = true;
}

Result<Touched> Maps::put_network(const model::Network& network, int64_t revision) {
    Tenant* tenant = find(network.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", network.tenant_id);
    // What its nodes have stays as it was.
    if (!is_fit({network.tenant_id, network.id}, fault_of(network))) return Touched{};
    tenant->networks[network.id].network = network;
    Update update{*tenant, revision};
    auto put = publish(update, network_fragment(network, revision));
    if (!put) return failed(put.error());
    return counted(std::move(update));
}

// The store deletes none that has nodes; whoever is in it all the same gets a full map.
Result<Touched> Maps::remove_network(const std::string& tenant_id, const std::string& network_id,
                                     int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    Update update{*tenant, revision};
    for (auto& [id, node] : tenant->nodes) {
        if (node.networks.erase(network_id) == 0) continue;
        node.networks_changed_at = revision;
        update.touched.nodes.insert(id);
    }
    counters_.node_maps_touched += update.touched.nodes.size();
    tenant->networks.erase(network_id);
    quarantine_.put({tenant_id, network_id}, std::nullopt, clock_.now());
    return counted(std::move(update));
}

Result<void> Maps::publish_membership(Update& update, const model::Node& node,
                                      const model::Membership& membership) {
    Tenant& tenant = update.tenant;
    if (quarantine_.has({tenant.id, membership.network_id})) return {};
    const auto network = tenant.networks.find(membership.network_id);
    if (network == tenant.networks.end())
        return fail(Code::NotFound, "maps: no network {}", membership.network_id);
    if (!is_fit({tenant.id, network->first, node.id},
                fault_of(node.name, membership, network->second.network)))
        return {};
    Node& entry = tenant.nodes[node.id];
    if (entry.networks.insert(membership.network_id).second) {
        entry.networks_changed_at = update.revision;
        ++network->second.members;
        update.touched.nodes.insert(node.id);  // which waits for its other networks alone
    }
    // A membership that did not change keeps its fragment: a node in ten networks with one new
    // endpoint costs one.
    const auto& current = network->second.current;
    const auto old = current.find(fmt::format("{} {}", text(wire::FragmentKind::Peer), node.id));
    const bool same = old != current.end() && !old->second->removed &&
                      old->second->revision >= membership.revision;
    if (same) return {};
    return publish(update, peer_fragment(node.name, membership, update.revision));
}

Result<void> Maps::withdraw(Update& update, const std::string& network_id,
                            const std::string& node_id) {
    auto put = publish(update, tombstone(network_id, node_id, update.revision));
    if (put) --update.tenant.networks[network_id].members;
    return put;
}

Result<Touched> Maps::put_node(const model::Node& node, int64_t revision) {
    Tenant* tenant = find(node.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", node.tenant_id);
    const bool is_pending = node.state == model::NodeState::Pending;
    // An expired node that is renamed, say, is in nobody's map.
    if (node.state != model::NodeState::Active && !is_pending) return Touched{};
    Update update{*tenant, revision};
    std::set<std::string> now_in;
    static const std::vector<model::Membership> kNone;
    for (const model::Membership& membership : is_pending ? kNone : node.memberships) {
        now_in.insert(membership.network_id);
        auto put = publish_membership(update, node, membership);
        if (!put) return failed(put.error());
    }
    Node& entry = tenant->nodes[node.id];
    const std::set<std::string> before = entry.networks;
    for (const std::string& network_id : before) {
        if (now_in.contains(network_id)) continue;
        if (auto out = withdraw(update, network_id, node.id); !out) return failed(out.error());
        entry.networks.erase(network_id);
        entry.networks_changed_at = revision;
        update.touched.nodes.insert(node.id);
    }
    return counted(std::move(update));
}

Result<Touched> Maps::set_map_expiry(const std::string& tenant_id, model::MapExpiry expiry) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    if (tenant->map_expiry == expiry) return Touched{};
    tenant->map_expiry = expiry;
    for (auto& [id, node] : tenant->nodes) node.head_issued_at.reset();
    return nodes_of(tenant_id);
}

Touched Maps::nodes_of(const std::string& tenant_id) {
    Touched all;
    if (const Tenant* tenant = find(tenant_id))
        for (const auto& [id, node] : tenant->nodes) all.nodes.insert(id);
    return all;
}

Result<Touched> Maps::remove_node(const std::string& tenant_id, const std::string& node_id,
                                  int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    quarantine_.erase_node(tenant_id, node_id);
    Update update{*tenant, revision};
    if (const auto node = tenant->nodes.find(node_id); node != tenant->nodes.end()) {
        for (const std::string& network_id : node->second.networks)
            if (auto out = withdraw(update, network_id, node_id); !out) return failed(out.error());
        tenant->nodes.erase(node);
    }
    update.touched.nodes.insert(node_id);  // its held poll must hear of it
    return counted(std::move(update));
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
    return std::any_of(node.networks.begin(), node.networks.end(), [&](const std::string& id) {
        const auto network = tenant.networks.find(id);
        return network != tenant.networks.end() && since->revision < network->second.floor;
    });
}

// Without `since` all that is there, else what changed after it.
Maps::Fragments Maps::fragments_of(const Tenant& tenant, const Node& node,
                                   std::optional<int64_t> since) {
    Fragments fragments;
    for (const std::string& id : node.networks) {
        const auto network = tenant.networks.find(id);
        if (network == tenant.networks.end()) continue;
        const auto& order = network->second.by_revision;
        auto entry = since ? order.upper_bound(*since) : order.begin();
        for (; entry != order.end(); ++entry)
            if (since || !(*entry)->removed) fragments.push_back(*entry);
    }
    return fragments;
}

// The same bytes for all who have this revision of these networks. Nullopt: nothing is new.
std::optional<http::Response> Maps::delta(Tenant& tenant, const Node& node, int64_t since) {
    const std::string asked = fmt::format("{} {}", since, fmt::join(node.networks, " "));
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

Result<Touched> Maps::apply(const Change& change) {
    const store::Event& event = change.event;
    const Tenant* tenant = find(event.tenant_id);
    const bool is_whole = event.kind == store::EventKind::TenantCreated ||
                          event.kind == store::EventKind::TenantDeleted;
    if (tenant && tenant->is_held_back && !is_whole)
        return fail(Code::Unavailable, "maps: tenant {} is held back", event.tenant_id);
    // It is in what was loaded since; brought in again it would undo what came after it.
    if (tenant && event.kind != store::EventKind::TenantDeleted &&
        event.revision <= tenant->loaded_at)
        return Touched{};
    auto touched = bring_in(change);
    if (!touched) {
        hold_back(event.tenant_id);
        return touched;
    }
    // What is in nobody's map counts too: load() of another controller is given its revision.
    if (Tenant* level = find(event.tenant_id))
        level->revision = std::max(level->revision, event.revision);
    return touched;
}

Result<Touched> Maps::bring_in(const Change& change) {
    using store::EventKind;
    const store::Event& event = change.event;
    switch (event.kind) {
        case EventKind::TenantCreated:
            return load(event.tenant_id, change.epoch,
                        {.revision = event.revision, .networks = {}, .members = {}});
        case EventKind::TenantDeleted:
            drop_tenant(event.tenant_id);
            return Touched{};
        case EventKind::NetworkDeleted:
            return remove_network(event.tenant_id, event.object_id, event.revision);
        case EventKind::TenantSuspended:  // who waits is to hear of it
            return nodes_of(event.tenant_id);
        case EventKind::NodeExpired:
        case EventKind::NodeRevoked:
        case EventKind::NodeDeleted:
            return remove_node(event.tenant_id, event.object_id, event.revision);
        default:
            break;
    }
    if (change.network) return put_network(*change.network, event.revision);
    if (change.node) return put_node(*change.node, event.revision);
    if (change.map_expiry) return set_map_expiry(event.tenant_id, *change.map_expiry);
    return Touched{};  // tokens, names of tenants, certificates: in nobody's map
}

}  // namespace cvlan::maps
