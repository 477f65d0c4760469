// SPDX-License-Identifier: Apache-2.0
// Relays, which every node of the tenant hears of, and whom they must not serve, which they alone
// hear of.
#include "base/log.h"
#include "maps/fragments.h"
#include "maps/maps.h"
#include "maps/tenant.h"
#include "model/relay_map.h"

namespace cvlan::maps {

namespace wire = model::wire;

// It can be used while its node is in, which shows the certificate that others look for.
Result<void> Maps::show_relay(Update& update, Relay& entry) {
    Tenant& tenant = update.tenant;
    const store::MapRelay& relay = entry.relay;
    const auto node = tenant.nodes.find(relay.node_id());
    const bool is_usable = node != tenant.nodes.end() && node->second.is_relay &&
                           node->second.is_in && !relay.object.endpoints.empty();
    auto fragment = relay_fragment(relay, update.revision);
    std::string shown = is_usable ? wire::encode(*fragment.relay) : "";
    if (shown == entry.shown) return {};
    auto put = publish(update, is_usable ? fragment : tombstone(fragment, update.revision));
    if (put) entry.shown = std::move(shown);
    return put;
}

Result<void> Maps::show_relays_on(Update& update, const std::string& node_id) {
    for (auto& [id, relay] : update.tenant.relays)
        if (relay.relay.node_id() == node_id)
            if (auto shown = show_relay(update, relay); !shown) return shown;
    return {};
}

Result<Touched> Maps::put_relay(const store::MapRelay& relay, int64_t revision) {
    Tenant* tenant = find(relay.object.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", relay.object.tenant_id);
    Update update{*tenant, revision};
    Relay& entry = tenant->relays[relay.object.id];
    entry.relay = relay;
    if (auto shown = show_relay(update, entry); !shown) return failed(shown.error());
    return counted(std::move(update));
}

Result<Touched> Maps::remove_relay(const std::string& tenant_id, const std::string& relay_id,
                                   int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    const auto entry = tenant->relays.find(relay_id);
    if (entry == tenant->relays.end()) return Touched{};  // it was another kind of object
    Update update{*tenant, revision};
    entry->second.relay.object.endpoints.clear();
    if (auto shown = show_relay(update, entry->second); !shown) return failed(shown.error());
    tenant->relays.erase(entry);
    return counted(std::move(update));
}

Result<Touched> Maps::put_region(const model::Object& region, int64_t revision) {
    Tenant* tenant = find(region.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", region.tenant_id);
    Update update{*tenant, revision};
    for (auto& [id, relay] : tenant->relays) {
        if (relay.relay.region_id() != region.id) continue;
        relay.relay.region_name = region.name;
        if (auto shown = show_relay(update, relay); !shown) return failed(shown.error());
    }
    return counted(std::move(update));
}

Result<void> Maps::bar(Update& update, const std::string& node_id, const std::string& network_id) {
    Tenant& tenant = update.tenant;
    const WallTime now = clock_.now();
    // What has ended is taken away by the next that is put there, so that relays need not keep it.
    for (; !tenant.ends.empty() && tenant.ends.front().until <= now; tenant.ends.pop_front()) {
        const wire::MapFragment& of = tenant.ends.front().of;
        const Fragment* held = tenant.barred_shelf.live(key_of(of.kind, of.id));
        if (!held || held->revision != of.revision) continue;
        if (auto gone = publish(update, tombstone(of, update.revision)); !gone) return gone;
    }
    return put_barring(update,
                       {tenant.id, node_id, network_id, now + model::kBarredFor, update.revision});
}

Result<void> Maps::put_barring(Update& update, const Barring& barring) {
    auto fragment = barred_fragment(barring);
    if (auto put = publish(update, fragment); !put) return put;
    update.tenant.ends.push_back({barring.until, std::move(fragment)});
    return {};
}

Result<void> Maps::lift(Update& update, const std::string& node_id, const std::string& network_id) {
    if (update.tenant.barred_shelf.current.empty()) return {};
    const auto fragment =
        barred_fragment({update.tenant.id, node_id, network_id, {}, update.revision});
    if (!update.tenant.barred_shelf.live(key_of(fragment.kind, fragment.id))) return {};
    return publish(update, tombstone(fragment, update.revision));
}

}  // namespace cvlan::maps
