// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what the kernel says of states and policies (linux/xfrm.h). Pure. `payload` is what follows
// the netlink header. Attributes that we do not know are skipped, since newer kernels add some; a
// known one of the wrong size is Code::Malformed. Keys are passed over.

#include "base/bytes.h"
#include "netlink/attr_reader.h"
#include "xfrm/types.h"

namespace cvlan::xfrm {

struct StateCounts {
    uint32_t states = 0;
    uint32_t buckets = 0;
    bool operator==(const StateCounts&) const = default;
};

// Those of sockets apart.
struct PolicyCounts {
    uint32_t in = 0;
    uint32_t out = 0;
    uint32_t forward = 0;
    uint32_t socket_in = 0;
    uint32_t socket_out = 0;
    bool operator==(const PolicyCounts&) const = default;
};

// XFRM_MSG_NEWSA, as a dump, a GET or a monitor brings it.
Result<State> parse_state(ByteView payload);
// XFRM_MSG_NEWPOLICY.
Result<Policy> parse_policy(ByteView payload);
// XFRM_MSG_NEWSADINFO and XFRM_MSG_NEWSPDINFO.
Result<StateCounts> parse_state_counts(ByteView payload);
Result<PolicyCounts> parse_policy_counts(ByteView payload);

// The attributes that stand beside struct xfrm_usersa_info and xfrm_userpolicy_info, also in the
// messages of event.h. What goes wrong is the reader's error.
void read_state_attributes(netlink::AttrReader& attrs, State& state);
void read_policy_attributes(netlink::AttrReader& attrs, Policy& policy);

}  // namespace cvlan::xfrm
