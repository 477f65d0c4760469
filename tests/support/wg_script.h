// SPDX-License-Identifier: Apache-2.0
#pragma once

// WireGuard's netlink family on paper: answers the lookup of the family, keeps what is set, and
// says what a test told it to say.

#include <linux/genetlink.h>
#include <linux/wireguard.h>

#include "tests/support/netlink_script.h"

namespace cvlan::tests {

constexpr uint16_t kWgFamily = 30;

// The attributes of a genl message as the kernel would send them.
inline Bytes wg_payload(const std::function<void(netlink::Message&)>& fill) {
    netlink::Message message(0, 0);
    message.put_header(genlmsghdr{WG_CMD_GET_DEVICE, 1, 0});
    fill(message);
    const ByteView payload = message.payload();
    return {payload.begin(), payload.end()};
}

inline std::vector<Script::Answer> family_answer(uint32_t sequence, uint16_t id = kWgFamily) {
    const Bytes family = wg_payload([id](netlink::Message& message) {
        message.put_string(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
        message.put(CTRL_ATTR_FAMILY_ID, id);
        message.put(CTRL_ATTR_VERSION, uint32_t{1});
    });
    return {{kernel_message(GENL_ID_CTRL, 0, sequence, family)}, {ack(sequence)}};
}

// A socket whose requests to the WireGuard family go to `respond`.
inline netlink::Socket wg_scripted(Script::Respond respond) {
    return scripted([respond = std::move(respond)](ByteView request, uint32_t sequence) {
        nlmsghdr head;
        std::memcpy(&head, request.data(), sizeof head);
        return head.nlmsg_type == GENL_ID_CTRL ? family_answer(sequence)
                                               : respond(request, sequence);
    });
}

}  // namespace cvlan::tests
