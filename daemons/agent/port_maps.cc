// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/port_maps.h"

#include <algorithm>

#include "base/hmac.h"
#include "base/log.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

// The same after a restart, else a gateway takes us for a stranger to our own mapping.
reach::pcp::Nonce nonce_of(const wg::PrivateKey& key) {
    constexpr std::string_view kLabel = "cvlan port mapping v1";
    const Bytes mac = hmac_sha256(key.bytes(), as_bytes(kLabel));
    reach::pcp::Nonce nonce{};
    std::copy_n(mac.begin(), nonce.size(), nonce.begin());
    return nonce;
}

}  // namespace

PortMaps::PortMaps(EventLoop& loop, const Clock& clock, const Options& options,
                   std::function<void()> on_change)
    : loop_(loop), clock_(clock), options_(options), on_change_(std::move(on_change)) {
    if (options_.is_on && options_.with_upnp)
        upnp_ = std::make_unique<Workers>(Workers::Options{.name = "upnp"});
}

void PortMaps::set(const std::map<std::string, Wanted>& devices,
                   const std::optional<Gateway>& gateway) {
    if (!options_.is_on) return;
    std::erase_if(mappings_, [&](const auto& entry) {
        const auto wanted = devices.find(entry.first);
        return !gateway || wanted == devices.end() || wanted->second.port != entry.second.port ||
               !(entry.second.gateway == *gateway);
    });
    // The end of a suspend, which timers do not count.
    for (auto& [device, mapping] : mappings_) mapping.mapper->look();
    if (!gateway) return;
    for (const auto& [device, wanted] : devices)
        if (!mappings_.contains(device)) open(device, wanted, *gateway);
}

void PortMaps::open(const std::string& device, const Wanted& wanted, const Gateway& gateway) {
    reach::PortMapper::Options options;
    options.gateway = gateway.address;
    options.if_index = gateway.if_index;
    options.port = wanted.port;
    options.nonce = nonce_of(*wanted.key);
    options.mark = reconcile::kMarkBase;
    options.upnp_on = upnp_.get();
    options.server_port = options_.server_port;
    options.announce_port = options_.announce_port;
    auto mapper = reach::PortMapper::open(
        loop_, clock_, std::move(options), [this, device](const reach::MappedPort& mapped) {
            if (mapped.external)
                log::info("agent.port_mapped", {{"dev", device},
                                                {"external", mapped.external->text()},
                                                {"by", reach::name_of(mapped.protocol)}});
            on_change_();
        });
    // No way to the gateway: the next round tries again.
    if (mapper) mappings_[device] = {gateway, wanted.port, std::move(*mapper)};
}

void PortMaps::forget() { mappings_.clear(); }

void PortMaps::release() {
    for (auto& [device, mapping] : mappings_) mapping.mapper->release();
    mappings_.clear();
}

std::optional<Endpoint> PortMaps::external(const std::string& device) const {
    const auto found = mappings_.find(device);
    if (found == mappings_.end()) return std::nullopt;
    const auto mapped = found->second.mapper->current();
    return mapped.status == reach::MappingStatus::Mapped ? mapped.external : std::nullopt;
}

std::optional<reach::MappedPort> PortMaps::current() const {
    if (mappings_.empty()) return std::nullopt;
    return mappings_.begin()->second.mapper->current();
}

}  // namespace cvlan::agent
