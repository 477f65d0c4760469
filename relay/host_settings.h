// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the relay has to change in the kernel's settings (sysctl) so that packets are forwarded on
// its devices, and how it is taken back. What was there before is kept in our nftables table, as
// comments of the chain "settings": it lasts as long as the change itself, until the next boot.
//
// A machine does not become a router by it: where forwarding was off, our chain "forward" drops
// what comes in on these devices and carries no mark of the relay's.

#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netlink/netns.h"
#include "netlink/nft_client.h"

namespace cvlan::relay {

struct Setting {
    std::string path;  // below /proc/sys: "net/ipv4/conf/eth0/forwarding"
    std::string before;
    std::string now;

    bool operator==(const Setting&) const = default;
};

class HostSettings {
public:
    // `client` and `netns` must outlive it. The table must be installed.
    HostSettings(const netlink::NetnsFd& netns, netlink::nft::Client& client)
        : netns_(netns), client_(client) {}

    // The devices that have these addresses, but for the loopback.
    Result<std::set<std::string>> devices_of(std::span<const Address> own);

    // Sees to it that both families of `own` are forwarded when they come in on these devices, and
    // that no ICMP redirect tells nodes of one link to speak past the relay. Tells what it changed;
    // nothing, the second time. To be called now and then.
    Result<std::vector<Setting>> allow(const std::set<std::string>& devices,
                                       std::span<const Address> own);

    // What was changed, if it still is as we left it, becomes what it was. Before the table goes.
    Result<std::vector<Setting>> restore();

private:
    Result<std::vector<Setting>> kept();
    Result<void> keep(std::span<const Setting> settings);

    const netlink::NetnsFd& netns_;
    netlink::nft::Client& client_;
};

}  // namespace cvlan::relay
