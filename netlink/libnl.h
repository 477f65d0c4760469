// SPDX-License-Identifier: Apache-2.0
#pragma once

// libnl-route's objects, used to build requests and to read answers and for nothing else: no libnl
// socket, no cache (decisions.md). For netlink/*.cc alone.

#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/object.h>

#include <memory>
#include <optional>

#include "base/ip.h"
#include "netlink/message.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

template <auto Free>
struct FreeWith {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
template <class T, auto Free>
using Libnl = std::unique_ptr<T, FreeWith<Free>>;
using NlMsg = Libnl<nl_msg, nlmsg_free>;
using NlAddr = Libnl<nl_addr, nl_addr_put>;
using NlObject = Libnl<nl_object, nl_object_put>;

NlAddr to_libnl(const Address& address, uint8_t prefix_length);
// Nothing for addresses which are not IP.
std::optional<Address> from_libnl(const nl_addr* address);

// The request which `build` (an rtnl_*_build_*_request) makes of an object.
template <class Build>
Result<Message> build_request(Build build) {
    nl_msg* built = nullptr;
    const int status = build(&built);
    const NlMsg owner(built);
    if (status < 0) return fail(Code::Invalid, "libnl can not build the request ({})", status);
    return Message::from_libnl(built);
}

// The object that libnl makes of one rtnetlink message, nullptr for those it passes over.
Result<NlObject> parse_object(const Reply& reply);

}  // namespace cvlan::netlink
