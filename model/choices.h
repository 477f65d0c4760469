// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is chosen for a tenant, a network or a token. Rows hold the numbers: a new one goes last.

namespace cvlan::model {

enum class MapExpiry { Keep, Drop };

// What carries a network's packets. Auto: IPsec where one of two nodes asks for it by a tag.
enum class DataPlane { Wireguard, Ipsec, Auto };
// Who speaks with whom directly. Hub: with the network's vrouter alone.
enum class Topology { Mesh, Hub };
enum class CryptoProfile { Default, FipsAlgorithms };  // what IPsec may use

enum class TokenRole { Node, Vrouter, Relay };

}  // namespace cvlan::model
