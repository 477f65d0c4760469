// SPDX-License-Identifier: Apache-2.0
// One message of a WireGuard dump; what is read is set again and must read the same.
#include "kernel-wg/encode.h"
#include "kernel-wg/parse.h"
#include "tests/support/wg_script.h"

namespace cvlan::wg {
namespace {

netlink::GenericFamily family() {
    auto socket =
        tests::wg_scripted([](ByteView, uint32_t) { return std::vector<tests::Script::Answer>(); });
    return netlink::GenericFamily::find(socket, "wireguard").value();
}

// The list of one peer may be split: the parts read as one again.
void round_trip(const Peer& peer) {
    static const netlink::GenericFamily found = family();
    PeerChange change{.public_key = peer.public_key};
    change.preshared_key = peer.preshared_key.clone();
    change.endpoint = peer.endpoint;
    change.keepalive_seconds = peer.keepalive_seconds;
    change.allowed_ips = peer.allowed_ips;
    Device device;
    for (const PeersMessage& part : encode_peers(found, "cv-a", {&change, 1}))
        if (part.message.error() || !parse_device_message(part.message.payload(), device))
            __builtin_trap();
    if (device.peers.size() != 1) __builtin_trap();
    const Peer& again = device.peers[0];
    if (again.public_key != peer.public_key || again.allowed_ips != peer.allowed_ips ||
        again.endpoint != peer.endpoint || !(again.preshared_key == peer.preshared_key))
        __builtin_trap();
}

}  // namespace
}  // namespace cvlan::wg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::wg;
    Device device;
    if (!parse_device_message({bytes, size}, device)) return 0;
    for (const Peer& peer : device.peers) round_trip(peer);
    return 0;
}
