// SPDX-License-Identifier: Apache-2.0
#pragma once

// sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Without that variable nothing
// happens.

#include <string_view>

namespace cvlan {

void sd_notify(std::string_view state);  // "READY=1", "STOPPING=1", "STATUS=…"
// Core dumps off and /proc/self closed to others: daemons call it first.
void harden_process();

}  // namespace cvlan
