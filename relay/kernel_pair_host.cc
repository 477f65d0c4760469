// SPDX-License-Identifier: Apache-2.0
#include "relay/kernel_pair_host.h"

#include <ifaddrs.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"

namespace cvlan::relay {

namespace {

Pair kernel_pair(const ForwardedPair& pair) {
    return {hex(pair.id), pair.own, pair.port, pair.first, pair.second};
}

// This machine's own that the world, or a NAT before it, can send to.
Result<std::vector<Address>> own_addresses() {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return failed(errno_error("read the addresses of this machine"));
    std::vector<Address> found;
    for (const ifaddrs* one = list; one; one = one->ifa_next) {
        if (!one->ifa_addr) continue;
        const int family = one->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        const auto size =
            static_cast<socklen_t>(family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        const auto endpoint = Endpoint::from_sockaddr(one->ifa_addr, size);
        if (!endpoint) continue;
        const Address& address = endpoint->address;
        if (!address.is_loopback() && !address.is_link_local()) found.push_back(address);
    }
    freeifaddrs(list);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    if (found.size() > kMostOwn) found.resize(kMostOwn);
    return found;
}

}  // namespace

Result<std::unique_ptr<KernelPairHost>> KernelPairHost::open(const netlink::NetnsFd& netns,
                                                             bool sets_forwarding) {
    auto forwarding = Forwarding::open(netns);
    if (!forwarding) return failed(forwarding.error());
    std::unique_ptr<KernelPairHost> made(
        new KernelPairHost(netns, std::move(*forwarding), sets_forwarding));
    if (auto done = made->set_up(true); !done) return failed(done.error());
    return made;
}

Result<void> KernelPairHost::clear(const netlink::NetnsFd& netns) {
    auto forwarding = Forwarding::open(netns);
    if (!forwarding) return failed(forwarding.error());
    HostSettings settings(netns, forwarding->client());
    auto restored = settings.restore();
    if (!restored && restored.error().code != Code::NotFound) return failed(restored.error());
    return forwarding->uninstall();
}

Result<void> KernelPairHost::set_up(bool is_first) {
    auto own = own_addresses();
    if (!own) return failed(own.error());
    auto installed = is_first ? forwarding_.reinstall(*own) : forwarding_.install(*own);
    if (!installed) return failed(installed.error());
    if (!is_first && *installed != Forwarding::Installed::Unchanged)
        log::warn("relay.rules_repaired", {{"addresses", own->size()}});
    if (!sets_forwarding_) return {};
    auto devices = settings_.devices_of(*own);
    if (!devices) return failed(devices.error());
    auto changed = settings_.allow(*devices, *own);
    if (!changed) return failed(changed.error());
    for (const Setting& one : *changed)
        log::info("relay.setting_changed",
                  {{"path", one.path}, {"before", one.before}, {"now", one.now}});
    return {};
}

Result<void> KernelPairHost::look() { return set_up(false); }

// Somebody may have flushed all of nftables: who has just bound does not wait for the next look().
Result<void> KernelPairHost::with_table(const std::function<Result<void>()>& work) {
    auto done = work();
    if (done || done.error().code != Code::NotFound) return done;
    if (auto repaired = set_up(false); !repaired) return repaired;
    return work();
}

Result<void> KernelPairHost::put_pair(const ForwardedPair& pair,
                                      const std::optional<ForwardedPair>& instead_of) {
    const Pair wanted = kernel_pair(pair);
    return with_table([&] {
        return instead_of ? forwarding_.replace(kernel_pair(*instead_of), wanted, kPairLife)
                          : forwarding_.put({&wanted, 1}, kPairLife);
    });
}

Result<void> KernelPairHost::refresh(const ForwardedPair& pair) {
    const Pair wanted = kernel_pair(pair);
    return with_table([&] { return forwarding_.refresh({&wanted, 1}, kPairLife); });
}

Result<void> KernelPairHost::remove_pair(const ForwardedPair& pair) {
    const Pair gone = kernel_pair(pair);
    return forwarding_.remove({&gone, 1});
}

Result<std::vector<PairCount>> KernelPairHost::pairs() {
    auto found = forwarding_.pairs();
    if (!found) return failed(found.error());
    std::vector<PairCount> all;
    for (const PairState& one : *found) {
        const auto id = from_hex(one.pair.name);
        if (!id || id->size() != PairId().size()) continue;
        PairCount count;
        std::copy(id->begin(), id->end(), count.pair.id.begin());
        count.pair.own = one.pair.own;
        count.pair.port = one.pair.port;
        count.pair.first = one.pair.a;
        count.pair.second = one.pair.b;
        count.packets = one.from_a.packets + one.from_b.packets;
        count.bytes = one.from_a.bytes + one.from_b.bytes;
        all.push_back(count);
    }
    return all;
}

}  // namespace cvlan::relay
