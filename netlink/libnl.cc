// SPDX-License-Identifier: Apache-2.0
#include "netlink/libnl.h"

#include <cstring>

namespace cvlan::netlink {

NlAddr to_libnl(const Address& address, uint8_t prefix_length) {
    NlAddr made(nl_addr_build(address.af(), address.bytes().data(), address.bytes().size()));
    nl_addr_set_prefixlen(made.get(), prefix_length);
    return made;
}

std::optional<Address> from_libnl(const nl_addr* address) {
    if (address == nullptr) return std::nullopt;
    const auto* bytes = static_cast<const uint8_t*>(nl_addr_get_binary_addr(address));
    auto parsed = Address::from_bytes({bytes, nl_addr_get_len(address)});
    if (!parsed) return std::nullopt;
    return *parsed;
}

Result<NlObject> parse_object(const Reply& reply) {
    const NlMsg message(nlmsg_alloc_size(NLMSG_HDRLEN + NLMSG_ALIGN(reply.payload.size())));
    if (!message) return fail(Code::Unavailable, "out of memory");
    nlmsghdr* head = nlmsg_hdr(message.get());
    head->nlmsg_type = reply.type;
    head->nlmsg_flags = reply.flags;
    head->nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + reply.payload.size());
    if (!reply.payload.empty())
        std::memcpy(NLMSG_DATA(head), reply.payload.data(), reply.payload.size());
    nlmsg_set_proto(message.get(), NETLINK_ROUTE);

    NlObject parsed;
    const auto keep = [](nl_object* object, void* into) {
        nl_object_get(object);
        static_cast<NlObject*>(into)->reset(object);
    };
    const int status = nl_msg_parse(message.get(), keep, &parsed);
    if (status < 0) return fail(Code::Malformed, "libnl can not read the message ({})", status);
    return parsed;
}

}  // namespace cvlan::netlink
