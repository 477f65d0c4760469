// SPDX-License-Identifier: Apache-2.0
// Whatever comes over a netlink socket: attributes, acks, rules, and the Socket's own walk.
#include <linux/netlink.h>

#include "netlink/attr_reader.h"
#include "netlink/rule.h"
#include "netlink/socket.h"
#include "tests/support/netlink_script.h"

namespace cvlan::netlink {
namespace {

void walk(AttrReader attrs, int depth) {
    while (attrs.next()) {
        if (attrs.payload().data() == nullptr) __builtin_trap();
        std::string text;
        std::optional<uint32_t> number;
        switch (attrs.type() % 4) {
            case 0:
                attrs.read(text);
                break;
            case 1:
                attrs.read(number);
                break;
            case 2:
                if (depth < 8) walk(attrs.nested(), depth + 1);
                break;
        }
    }
}

// The input as one datagram of the kernel, its sequence and port mended so that it gets through.
void dump(ByteView datagram) {
    Socket socket = tests::scripted([&](ByteView, uint32_t sequence) {
        Bytes bytes(datagram.begin(), datagram.end());
        if (bytes.size() >= sizeof(nlmsghdr)) {
            std::memcpy(bytes.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, 4);
            std::memcpy(bytes.data() + offsetof(nlmsghdr, nlmsg_pid), &tests::kPort, 4);
        }
        return std::vector<tests::Script::Answer>{{bytes}, {tests::done(sequence)}};
    });
    Message message(100, 0);
    (void)socket.dump(
        message, [] {},
        [](const Reply& reply) -> Result<void> {
            (void)parse_rule(reply);
            return {};
        });
}

}  // namespace
}  // namespace cvlan::netlink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::netlink;
    const cvlan::ByteView input(bytes, size);
    walk(AttrReader(input), 0);
    for (const uint16_t type : {uint16_t{NLMSG_ERROR}, uint16_t{NLMSG_DONE}})
        for (const uint16_t flags :
             {uint16_t{NLM_F_ACK_TLVS}, uint16_t{NLM_F_ACK_TLVS | NLM_F_CAPPED}, uint16_t{0}})
            (void)ack_error({type, flags, input});
    (void)parse_rule({0, 0, input});
    dump(input);
    return 0;
}
