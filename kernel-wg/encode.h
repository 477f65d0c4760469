// SPDX-License-Identifier: Apache-2.0
#pragma once

// Changes as WG_CMD_SET_DEVICE messages (linux/wireguard.h). Pure. The list of peers is one nest,
// so of at most 65,535 bytes: longer lists, and peers with more allowed-ips than one message holds,
// are split by bytes into further messages which only add to what the first ones did.

#include <span>
#include <string_view>
#include <vector>

#include "kernel-wg/types.h"
#include "netlink/generic.h"

namespace cvlan::wg {

// One message and the changes it carries, [first, last]: a change may span several messages.
struct PeersMessage {
    netlink::Message message;
    size_t first = 0;
    size_t last = 0;
};

netlink::Message encode_device(const netlink::GenericFamily& family, std::string_view ifname,
                               const DeviceChange& change);
std::vector<PeersMessage> encode_peers(const netlink::GenericFamily& family,
                                       std::string_view ifname,
                                       std::span<const PeerChange> changes);

}  // namespace cvlan::wg
