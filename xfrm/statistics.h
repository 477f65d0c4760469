// SPDX-License-Identifier: Apache-2.0
#pragma once

// The counters of a network namespace of what its IPsec dropped and why (/proc/net/xfrm_stat;
// Documentation/networking/xfrm_proc.rst of the kernel), by the kernel's names:
// "XfrmOutNoStates", "XfrmInNoPols". Newer kernels have more of them.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "netlink/netns.h"

namespace cvlan::xfrm {

using Statistics = std::map<std::string, uint64_t, std::less<>>;

// Code::NotFound where the kernel does not count.
Result<Statistics> statistics(const netlink::NetnsFd& netns);
// A name and a number a line.
Result<Statistics> parse_statistics(std::string_view text);

}  // namespace cvlan::xfrm
