// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests of NETLINK_XFRM (linux/xfrm.h). Pure. What the kernel could not be told is
// Code::Invalid.

#include "netlink/message.h"
#include "xfrm/types.h"

namespace cvlan::xfrm {

// Which states a dump is to have. The kernel looks at prefixes and protocol; if_id it can not
// filter by, so that is left to whoever reads the answer.
struct StateFilter {
    std::optional<Prefix> source{};
    std::optional<Prefix> destination{};
    uint8_t protocol = 0;  // 0: any
    std::optional<uint32_t> if_id{};
};

// A larval state with a number that nobody uses, in [first, last].
struct SpiRequest {
    StateId id{};  // its spi does not count
    Address source{};
    Mode mode = Mode::Tunnel;
    uint32_t reqid = 0;
    uint32_t if_id = 0;
    uint32_t first = 0x00000100;  // RFC 4303: those below are reserved
    uint32_t last = 0xffffffff;
};

// `type` is XFRM_MSG_NEWSA or XFRM_MSG_UPDSA.
Result<netlink::Message> encode_state(uint16_t type, const State& state, const StateKeys& keys);
// `type` is XFRM_MSG_DELSA or XFRM_MSG_GETSA.
netlink::Message encode_state_id(uint16_t type, const StateId& id);
Result<netlink::Message> encode_state_dump(const StateFilter& filter);
Result<netlink::Message> encode_spi_request(const SpiRequest& request);

// `type` is XFRM_MSG_NEWPOLICY or XFRM_MSG_UPDPOLICY.
Result<netlink::Message> encode_policy(uint16_t type, const Policy& policy);
// `type` is XFRM_MSG_DELPOLICY or XFRM_MSG_GETPOLICY.
Result<netlink::Message> encode_policy_id(uint16_t type, const PolicyId& id);

}  // namespace cvlan::xfrm
