// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what WG_CMD_GET_DEVICE dumps (linux/wireguard.h). Pure. Attributes we do not know are
// skipped, since newer kernels add some; a known one of the wrong size is Code::Malformed.

#include "base/bytes.h"
#include "kernel-wg/types.h"
#include "netlink/attr_reader.h"

namespace cvlan::wg {

// One element of WGDEVICE_A_PEERS.
Result<Peer> parse_peer(netlink::AttrReader attrs);
Result<std::vector<Prefix>> parse_allowed_ips(netlink::AttrReader attrs);

// Adds one message of the dump, `payload` being what follows the netlink header, to `device`. A
// peer that goes on from the message before (same key as the last one) is continued.
Result<void> parse_device_message(ByteView payload, Device& device);

}  // namespace cvlan::wg
