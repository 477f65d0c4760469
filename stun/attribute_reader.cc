// SPDX-License-Identifier: Apache-2.0
#include "stun/attribute_reader.h"

#include <algorithm>

namespace cvlan::stun {

bool AttributeReader::next() {
    if (fault_ || is_last()) return false;
    const ByteView rest = datagram_.subspan(next_);
    if (rest.size() < 4) return stop("trailing bytes");
    at_ = next_;
    type_ = read_u16(rest);
    const size_t size = read_u16(rest.subspan(2));
    // Values are padded to 4 bytes with whatever, and the padding must be there (section 14).
    const size_t padded = (size + 3) & ~size_t{3};
    if (padded > rest.size() - 4) return stop("longer than the message");
    value_ = rest.subspan(4, size);
    next_ += 4 + padded;
    return true;
}

// Section 14.1: a byte of nothing, the family, the port, the address.
std::optional<Endpoint> AttributeReader::endpoint_xored_with(ByteView mask) {
    const bool is_v4 = value_.size() == 8 && value_[1] == 1;
    const bool is_v6 = value_.size() == 20 && value_[1] == 2;
    if (!is_v4 && !is_v6) {
        stop("no address");
        return std::nullopt;
    }
    std::array<uint8_t, 16> bytes{};
    const ByteView address = value_.subspan(4);
    for (size_t i = 0; i < address.size(); ++i)
        bytes[i] = static_cast<uint8_t>(address[i] ^ mask[i]);
    return Endpoint{Address::from_bytes({bytes.data(), address.size()}).value(),
                    static_cast<uint16_t>(read_u16(value_.subspan(2)) ^ read_u16(mask))};
}

std::optional<Endpoint> AttributeReader::endpoint() {
    static constexpr std::array<uint8_t, 16> kNothing{};
    return endpoint_xored_with(kNothing);
}

// The mask is the cookie and the transaction, as they stand in the header (section 14.2).
std::optional<Endpoint> AttributeReader::xor_endpoint() {
    return endpoint_xored_with(datagram_.subspan(4, 16));
}

std::optional<std::string_view> AttributeReader::text(size_t most) {
    if (value_.size() <= most) return as_text(value_);
    stop("text too long");
    return std::nullopt;
}

// Section 14.8: 21 bits of nothing, the hundreds, the rest of the number, a reason.
std::optional<ErrorCode> AttributeReader::error_code() {
    constexpr size_t kMostReason = 763;
    if (value_.size() < 4 || value_.size() > 4 + kMostReason || (value_[2] & 7) < 3 ||
        (value_[2] & 7) > 6 || value_[3] > 99) {
        stop("no error code");
        return std::nullopt;
    }
    return ErrorCode{static_cast<uint16_t>((value_[2] & 7) * 100 + value_[3]),
                     as_text(value_.subspan(4))};
}

void AttributeReader::types(TypeList& out) {
    if (value_.size() % 2 != 0) {
        stop("odd size");
        return;
    }
    for (size_t i = 0; i < value_.size(); i += 2) out.add(read_u16(value_.subspan(i)));
}

uint32_t AttributeReader::u32() {
    if (value_.size() == 4) return uint32_t{read_u16(value_)} << 16 | read_u16(value_.subspan(2));
    stop("wrong size");
    return 0;
}

bool AttributeReader::stop(const char* what) {
    if (!fault_) fault_ = what;
    return false;
}

}  // namespace cvlan::stun
