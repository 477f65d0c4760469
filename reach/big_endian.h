// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers in network order, from and to bytes that the caller has looked at.

#include <cstdint>

namespace cvlan::reach {

inline uint16_t read_u16(const uint8_t* from) {
    return static_cast<uint16_t>(from[0] << 8 | from[1]);
}
inline uint32_t read_u32(const uint8_t* from) {
    return uint32_t{read_u16(from)} << 16 | read_u16(from + 2);
}
inline void write_u16(uint8_t* to, uint16_t value) {
    to[0] = static_cast<uint8_t>(value >> 8);
    to[1] = static_cast<uint8_t>(value);
}
inline void write_u32(uint8_t* to, uint32_t value) {
    write_u16(to, static_cast<uint16_t>(value >> 16));
    write_u16(to + 2, static_cast<uint16_t>(value));
}

}  // namespace cvlan::reach
