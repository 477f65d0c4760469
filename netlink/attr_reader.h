// SPDX-License-Identifier: Apache-2.0
#pragma once

// Walks the attributes of one message or nest. The first malformed attribute stops the walk and
// is kept: the caller writes the good case and asks error() once, after the loop. Reads never
// leave the bytes given, which must outlive the reader; nothing is aligned or trusted.

#include <linux/netlink.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace cvlan::netlink {

class AttrReader {
public:
    explicit AttrReader(ByteView attributes) : rest_(attributes) {}

    // Steps to the next attribute; false at the end or at the first fault.
    bool next();
    uint16_t type() const { return type_; }  // without the NESTED and BYTEORDER bits
    ByteView payload() const { return payload_; }
    const Error* error() const { return error_.get(); }  // nullptr while all is well

    // Each reads the current attribute; one of another size than the type's is a fault.
    template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void read(T& out) {
        if (expect(sizeof out)) std::memcpy(&out, payload_.data(), sizeof out);
    }
    template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void read(std::optional<T>& out) {
        T value{};
        read(value);
        if (!error_) out = value;
    }
    template <size_t N>
    void read(std::array<uint8_t, N>& out) {
        if (expect(N)) std::memcpy(out.data(), payload_.data(), N);
    }
    template <size_t N>
    void read(Secret<N>& out) {
        if (expect(N)) std::memcpy(out.writable().data(), payload_.data(), N);
    }
    // A structure of the kernel's; a newer kernel may have made it longer.
    template <class T>
    requires(std::is_class_v<T>&& std::is_trivially_copyable_v<T>) void read_struct(T& out) {
        if (payload_.size() < sizeof out) {
            fault("attribute too short");
            return;
        }
        std::memcpy(&out, payload_.data(), sizeof out);
    }
    // Text up to its NUL, or to the end of the attribute; a NUL followed by more is a fault.
    void read(std::string& out);

    AttrReader nested() const { return AttrReader(payload_); }
    // `parse(AttrReader) -> Result<T>`; its error becomes the reader's.
    template <class T, class Parse>
    void read_nested(T& out, Parse parse) {
        auto parsed = parse(nested());
        if (parsed) {
            out = std::move(*parsed);
        } else {
            error_ = std::make_unique<Error>(std::move(parsed.error()));
        }
    }

    // `walk(AttrReader&)` reads the nest in place; what it finds wrong becomes the reader's error.
    template <class Walk>
    void walk_nested(Walk walk) {
        AttrReader inner = nested();
        walk(inner);
        if (inner.error_) error_ = std::move(inner.error_);
    }

    // Stops the walk with Code::Malformed; always false.
    bool fault(std::string_view what);

private:
    bool expect(size_t size) { return (payload_.size() == size && !error_) || wrong_size(size); }
    bool wrong_size(size_t size);

    ByteView rest_;
    ByteView payload_;
    uint16_t type_ = 0;
    std::unique_ptr<Error> error_;  // apart, since a reader is made for each nest
};

// Inline, since a dump of many peers is little else.
inline bool AttrReader::next() {
    if (error_ || rest_.empty()) return false;
    nlattr head;
    if (rest_.size() < sizeof head) return fault("trailing bytes");
    std::memcpy(&head, rest_.data(), sizeof head);  // the buffer need not be aligned
    if (head.nla_len < sizeof head || head.nla_len > rest_.size()) return fault("bad length");
    type_ = head.nla_type & NLA_TYPE_MASK;
    payload_ = ByteView(rest_.data() + sizeof head, head.nla_len - sizeof head);
    // The padding of the last attribute may be missing.
    const size_t step = NLA_ALIGN(head.nla_len);
    rest_ = step < rest_.size() ? ByteView(rest_.data() + step, rest_.size() - step) : ByteView();
    return true;
}

// The attributes of a message after a family header of type Header, which is copied into `header`.
template <class Header>
Result<AttrReader> after_header(ByteView payload, Header& header) {
    if (payload.size() < sizeof header)
        return fail(Code::Malformed, "message of {} bytes is too short", payload.size());
    std::memcpy(&header, payload.data(), sizeof header);
    return AttrReader(
        payload.subspan(std::min<size_t>(NLMSG_ALIGN(sizeof header), payload.size())));
}

}  // namespace cvlan::netlink
