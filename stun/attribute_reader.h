// SPDX-License-Identifier: Apache-2.0
#pragma once

// Walks the attributes of one message. The first malformed one stops the walk and is kept: the
// caller writes the good case and asks fault() once, after the loop. Reads never leave the bytes
// given, which must outlive the reader.

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ip.h"
#include "stun/message.h"

namespace cvlan::stun {

inline uint16_t read_u16(ByteView bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

class AttributeReader {
public:
    // A whole datagram, whose header has been looked at.
    explicit AttributeReader(ByteView datagram) : datagram_(datagram), next_(kHeaderSize) {}

    // Steps to the next attribute; false at the end or at the first fault.
    bool next();
    uint16_t type() const { return type_; }
    ByteView value() const { return value_; }
    size_t at() const { return at_; }  // where it begins in the datagram
    bool is_last() const { return next_ == datagram_.size(); }
    const char* fault() const { return fault_; }  // nullptr while all is well

    // Each reads the current attribute; a value that can not be is a fault.
    std::optional<Endpoint> endpoint();      // MAPPED-ADDRESS
    std::optional<Endpoint> xor_endpoint();  // XOR-MAPPED-ADDRESS
    std::optional<std::string_view> text(size_t most);
    std::optional<ErrorCode> error_code();
    void types(TypeList& out);
    uint32_t u32();

    // Stops the walk; always false. `what` must live for ever.
    bool stop(const char* what);

private:
    std::optional<Endpoint> endpoint_xored_with(ByteView mask);

    ByteView datagram_;
    size_t next_;
    size_t at_ = 0;
    uint16_t type_ = 0;
    ByteView value_{};
    const char* fault_ = nullptr;
};

}  // namespace cvlan::stun
