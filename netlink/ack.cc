// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <system_error>

#include "netlink/attr_reader.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

namespace {

constexpr int kMaxErrno = 4095;  // include/linux/err.h: MAX_ERRNO

// What the kernel says beside the errno, or nothing. A malformed text is not worth an error.
std::string said(AttrReader attrs) {
    std::string text;
    while (attrs.next())
        if (attrs.type() == NLMSGERR_ATTR_MSG) attrs.read(text);
    return printable(text);
}

// Where the attributes of an extended ack begin (linux/netlink.h: struct nlmsgerr): NLMSG_ERROR
// carries the header of the request first, and its payload unless capped.
ByteView tlvs(const Reply& reply, ByteView rest) {
    if ((reply.flags & NLM_F_ACK_TLVS) == 0) return {};
    if (reply.type == NLMSG_DONE) return rest;
    nlmsghdr request;
    if (rest.size() < sizeof request) return {};
    std::memcpy(&request, rest.data(), sizeof request);
    size_t skip = sizeof request;
    if ((reply.flags & NLM_F_CAPPED) == 0 && request.nlmsg_len > skip)
        skip = NLMSG_ALIGN(static_cast<size_t>(request.nlmsg_len));
    return rest.subspan(std::min(skip, rest.size()));
}

}  // namespace

std::optional<Error> ack_error(const Reply& reply) {
    int32_t negative = 0;
    if (reply.payload.size() < sizeof negative)
        return Error{Code::Malformed, "acknowledgement without an errno"};
    std::memcpy(&negative, reply.payload.data(), sizeof negative);
    if (negative == 0) return std::nullopt;
    if (negative > 0 || negative < -kMaxErrno)
        return Error{Code::Malformed, fmt::format("acknowledgement with errno {}", negative)};

    Error error = errno_error("", -negative);
    error.message = std::generic_category().message(-negative);
    const std::string text = said(AttrReader(tlvs(reply, reply.payload.subspan(sizeof negative))));
    if (!text.empty()) error.message += ": " + text;
    return error;
}

}  // namespace cvlan::netlink
