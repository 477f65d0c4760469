// SPDX-License-Identifier: Apache-2.0
#include "reach/upnp.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#include <array>
#include <memory>

namespace cvlan::reach {

namespace {

constexpr int kDiscoveryMs = 2000;
constexpr int kPermanentLeasesOnly = 725;
constexpr int kConflict = 718;
constexpr int kPortsTried = 8;

struct FreeDevices {
    void operator()(UPNPDev* devices) const { freeUPNPDevlist(devices); }
};
using Devices = std::unique_ptr<UPNPDev, FreeDevices>;

// What a gateway's description says of where to ask.
class Gateway {
public:
    static Result<Gateway> read(const std::string& description_url) {
        Gateway gateway;
        std::array<char, 64> own{};
        if (UPNP_GetIGDFromUrl(description_url.c_str(), &gateway.found_->urls, &gateway.found_->igd,
                               own.data(), own.size()) != 1 ||
            !gateway.found_->urls.controlURL)
            return fail(Code::NotFound, "upnp: no gateway at {}", description_url);
        return gateway;
    }
    std::string control_url() const { return found_->urls.controlURL; }
    std::string service() const { return found_->igd.first.servicetype; }

private:
    struct Found {
        UPNPUrls urls{};
        IGDdatas igd{};
        ~Found() { FreeUPNPUrls(&urls); }
    };
    std::unique_ptr<Found> found_ = std::make_unique<Found>();
};

// "http://192.0.2.1:5000/…", and nothing that only looks like it.
bool is_at(const std::string& url, const Address& gateway) {
    const std::string host = "http://" + gateway.text();
    if (!url.starts_with(host) || url.size() == host.size()) return false;
    return url[host.size()] == ':' || url[host.size()] == '/';
}

std::string said(int error) {
    const char* const text = strupnperror(error);
    return text ? text : fmt::format("error {}", error);
}

int add(const UpnpMapping& mapping, const UpnpRequest& request) {
    return UPNP_AddPortMapping(mapping.control_url.c_str(), mapping.service.c_str(),
                               std::to_string(mapping.external.port).c_str(),
                               std::to_string(request.port).c_str(), request.own.text().c_str(),
                               "CloudVLAN", "UDP", nullptr,
                               std::to_string(mapping.lifetime.count()).c_str());
}

}  // namespace

Result<UpnpMapping> upnp_map(const UpnpRequest& request) {
    int error = 0;
    const Devices devices(
        upnpDiscover(kDiscoveryMs, request.own.text().c_str(), nullptr, 0, 0, 2, &error));
    Result<UpnpMapping> last = fail(Code::NotFound, "upnp: nobody answers");
    for (const UPNPDev* device = devices.get(); device; device = device->pNext) {
        if (!is_at(device->descURL, request.gateway)) continue;
        last = upnp_map_at(device->descURL, request);
        if (last) return last;
    }
    return last;
}

Result<UpnpMapping> upnp_map_at(const std::string& description_url, const UpnpRequest& request) {
    if (!is_at(description_url, request.gateway))
        return fail(Code::Denied, "upnp: {} is not the gateway's", description_url);
    const auto gateway = Gateway::read(description_url);
    if (!gateway) return failed(gateway.error());
    UpnpMapping mapping{.lifetime = request.lifetime,
                        .control_url = gateway->control_url(),
                        .service = gateway->service()};
    if (!is_at(mapping.control_url, request.gateway))
        return fail(Code::Denied, "upnp: {} is not the gateway's", mapping.control_url);
    std::array<char, 64> external{};
    if (const int error = UPNP_GetExternalIPAddress(mapping.control_url.c_str(),
                                                    mapping.service.c_str(), external.data()))
        return fail(Code::Denied, "upnp: external address: {}", said(error));
    const auto address = Address::parse(external.data());
    if (!address || address->is_unspecified())
        return fail(Code::Denied, "upnp: the gateway has no external address");
    mapping.external = {*address, request.suggested_port};

    int error = kConflict;
    for (int tries = 0; tries < kPortsTried && error == kConflict; ++tries) {
        error = add(mapping, request);
        if (error == kPermanentLeasesOnly) {
            mapping.lifetime = {};
            error = add(mapping, request);
        }
        if (error == kConflict)
            mapping.external.port = static_cast<uint16_t>(
                mapping.external.port == UINT16_MAX ? 1024 : mapping.external.port + 1);
    }
    if (error != 0) return fail(Code::Denied, "upnp: {}", said(error));
    return mapping;
}

Result<void> upnp_unmap(const UpnpMapping& mapping) {
    const int error =
        UPNP_DeletePortMapping(mapping.control_url.c_str(), mapping.service.c_str(),
                               std::to_string(mapping.external.port).c_str(), "UDP", nullptr);
    if (error != 0) return fail(Code::Denied, "upnp: {}", said(error));
    return {};
}

}  // namespace cvlan::reach
