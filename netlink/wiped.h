// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wiped.h"

namespace cvlan::netlink {

using cvlan::WipedBytes;
using cvlan::WipingAllocator;

}  // namespace cvlan::netlink
