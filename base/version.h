// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cvlan {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr int kProtocolVersion = 1;  // of the requests between node and controller

}  // namespace cvlan
