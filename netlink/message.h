// SPDX-License-Identifier: Apache-2.0
#pragma once

// Builds one netlink request: the header, a family header, attributes and nests of them.
//
// It grows as needed and is wiped when it dies, since some requests carry keys. Lengths of
// attributes are 16 bits wide: one which does not fit is kept as error(), and Socket refuses to
// send such a message. Callers who may exceed the limit split by size() beforehand, by bytes and
// never by count. Source: linux/netlink.h.

#include <linux/netlink.h>

#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "netlink/wiped.h"

struct nl_msg;

namespace cvlan::netlink {

class Message {
public:
    // NLM_F_REQUEST is always added.
    Message(uint16_t type, uint16_t flags);
    // A request which libnl built: its bytes are copied, nothing else of it is kept.
    static Message from_libnl(nl_msg* built);

    // The family's own header (ifinfomsg, genlmsghdr, …), before any attribute.
    template <class T>
    requires std::is_trivially_copyable_v<T>
    void put_header(const T& header) { append(&header, sizeof header); }

    // An attribute of exactly the bytes of `value`, in host order.
    template <class T>
    requires std::is_trivially_copyable_v<T>
    void put(uint16_t type, const T& value) {
        put_bytes(type, {reinterpret_cast<const uint8_t*>(&value), sizeof value});
    }
    template <size_t N>
    void put(uint16_t type, const Secret<N>& value) {
        put_bytes(type, value.bytes());
    }
    void put_bytes(uint16_t type, ByteView bytes);
    void put_string(uint16_t type, std::string_view text);  // with its final NUL
    void put_flag(uint16_t type) { put_bytes(type, {}); }

    // `fill(Message&)` puts the attributes of the nest.
    template <class Fill>
    void nest(uint16_t type, Fill fill) {
        const size_t start = open_nest(type);
        fill(*this);
        close_nest(start);
    }
    // The same in two calls, for nests which are filled until a limit of bytes is reached.
    size_t open_nest(uint16_t type);
    void close_nest(size_t start);
    // Bytes in a nest opened at `start`, its own header included: at most kMaxNest may be closed.
    size_t nest_size(size_t start) const { return bytes_.size() - start; }
    static constexpr size_t kMaxNest = 0xffff;
    // The bytes which an attribute of `payload` bytes takes, header and padding included.
    static constexpr size_t attr_size(size_t payload) { return NLA_ALIGN(NLA_HDRLEN + payload); }
    // Takes back what was put since size() was `size`.
    void truncate(size_t size) { bytes_.resize(size); }

    size_t size() const { return bytes_.size(); }
    const std::optional<Error>& error() const { return error_; }
    uint16_t type() const { return header().nlmsg_type; }
    uint16_t flags() const { return header().nlmsg_flags; }
    void add_flags(uint16_t flags);
    // The whole message as it goes to the kernel, numbered. Valid until the next change.
    ByteView seal(uint32_t sequence, uint32_t port);
    // What follows the netlink header.
    ByteView payload() const { return ByteView(bytes_).subspan(NLMSG_HDRLEN); }

private:
    Message() = default;
    nlmsghdr header() const;
    void set_header(const nlmsghdr& header);
    void append(const void* from, size_t size);

    WipedBytes bytes_;
    std::optional<Error> error_;
};

}  // namespace cvlan::netlink
