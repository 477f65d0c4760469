// SPDX-License-Identifier: Apache-2.0
#include "reach/upnp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace cvlan::reach {
namespace {

using testing::HasSubstr;

constexpr char kService[] = "urn:schemas-upnp-org:service:WANIPConnection:1";

// An internet gateway device, as small as libminiupnpc takes it, on 127.0.0.1. A thread of its own,
// since the library blocks; one request a connection.
class FakeIgd {
public:
    FakeIgd() {
        fd_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_storage storage{};
        socklen_t size = Endpoint{*Address::parse("127.0.0.1"), 0}.to_sockaddr(storage);
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
        EXPECT_EQ(listen(fd_.get(), 8), 0);
        size = sizeof storage;
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
        port_ = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)->port;
        thread_ = std::thread([this] { run(); });
    }
    ~FakeIgd() {
        shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }
    std::string url() const { return fmt::format("http://127.0.0.1:{}/igd.xml", port_); }
    std::vector<std::string> asked() {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

    std::string external = "203.0.113.5";
    std::string control_at = "/control";
    // The errors of AddPortMapping, in turn; then it succeeds.
    std::vector<int> errors;

private:
    void run() {
        for (;;) {
            const UniqueFd client(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!client) return;
            std::string request;
            std::array<char, 4096> buffer;
            while (!is_whole(request)) {
                const ssize_t size = recv(client.get(), buffer.data(), buffer.size(), 0);
                if (size <= 0) break;
                request.append(buffer.data(), static_cast<size_t>(size));
            }
            const auto [status, body] = answer(request);
            const std::string response = fmt::format(
                "HTTP/1.1 {}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n"
                "Connection: close\r\n\r\n{}",
                status, body.size(), body);
            send(client.get(), response.data(), response.size(), MSG_NOSIGNAL);
        }
    }
    static bool is_whole(const std::string& request) {
        const size_t end = request.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const size_t length = request.find("Content-Length: ");
        const size_t body =
            length == std::string::npos ? 0 : std::stoul(request.substr(length + 16));
        return request.size() >= end + 4 + body;
    }
    std::pair<std::string, std::string> answer(const std::string& request) {
        const std::lock_guard lock(mutex_);
        asked_.push_back(request);
        if (request.starts_with("GET ")) return {"200 OK", description()};
        if (request.find("GetExternalIPAddress") != std::string::npos)
            return {
                "200 OK",
                envelope("GetExternalIPAddressResponse",
                         fmt::format("<NewExternalIPAddress>{}</NewExternalIPAddress>", external))};
        if (request.find("DeletePortMapping") != std::string::npos)
            return {"200 OK", envelope("DeletePortMappingResponse", "")};
        if (errors.empty()) return {"200 OK", envelope("AddPortMappingResponse", "")};
        const int error = errors.front();
        errors.erase(errors.begin());
        return {"500 Internal Server Error",
                fmt::format("<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>{}"
                            "</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>",
                            error)};
    }
    static std::string envelope(std::string_view action, std::string_view inside) {
        return fmt::format(
            "<?xml version=\"1.0\"?><s:Envelope><s:Body><u:{0} xmlns:u=\"{1}\">{2}"
            "</u:{0}></s:Body></s:Envelope>",
            action, kService, inside);
    }
    std::string description() const {
        return fmt::format(
            "<?xml version=\"1.0\"?><root><device><deviceType>urn:schemas-upnp-org:device:"
            "InternetGatewayDevice:1</deviceType><deviceList><device><deviceType>urn:schemas-upnp-"
            "org:device:WANDevice:1</deviceType><deviceList><device><deviceType>urn:schemas-upnp-"
            "org:device:WANConnectionDevice:1</deviceType><serviceList><service><serviceType>{}"
            "</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><controlURL>{}"
            "</controlURL><eventSubURL>/event</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service>"
            "</serviceList></device></deviceList></device></deviceList></device></root>",
            kService, control_at);
    }

    UniqueFd fd_;
    uint16_t port_ = 0;
    std::mutex mutex_;
    std::vector<std::string> asked_;
    std::thread thread_;
};

const UpnpRequest kRequest{.gateway = *Address::parse("127.0.0.1"),
                           .own = *Address::parse("127.0.0.1"),
                           .port = 51820,
                           .suggested_port = 40000};

TEST(Upnp, HasTheGatewayMapThePort) {
    FakeIgd igd;
    const auto mapping = upnp_map_at(igd.url(), kRequest);
    ASSERT_TRUE(mapping) << mapping.error().message;
    EXPECT_EQ(mapping->external, Endpoint::parse("203.0.113.5:40000").value());
    EXPECT_EQ(mapping->lifetime, std::chrono::seconds(7200));
    const std::string request = igd.asked().back();
    for (const char* part :
         {"<NewExternalPort>40000<", "<NewInternalPort>51820<", "<NewProtocol>UDP<",
          "<NewInternalClient>127.0.0.1<", "<NewLeaseDuration>7200<"})
        EXPECT_THAT(request, HasSubstr(part));
    ASSERT_TRUE(upnp_unmap(*mapping));
    EXPECT_THAT(igd.asked().back(), HasSubstr("DeletePortMapping"));
    EXPECT_THAT(igd.asked().back(), HasSubstr("<NewExternalPort>40000<"));
}

TEST(Upnp, APortThatAnotherMachineHasIsPassedOver) {
    FakeIgd igd;
    igd.errors = {718, 718};
    const auto mapping = upnp_map_at(igd.url(), kRequest);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->external.port, 40002);
}

TEST(Upnp, AGatewayThatHasOnlyPermanentMappingsGetsOne) {
    FakeIgd igd;
    igd.errors = {725};
    const auto mapping = upnp_map_at(igd.url(), kRequest);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->lifetime, std::chrono::seconds(0));
    EXPECT_THAT(igd.asked().back(), HasSubstr("<NewLeaseDuration>0<"));
}

TEST(Upnp, ARefusalIsDenied) {
    FakeIgd igd;
    igd.errors = {606};
    const auto refused = upnp_map_at(igd.url(), kRequest);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Denied);
    FakeIgd full;
    full.errors.assign(100, 718);
    EXPECT_FALSE(upnp_map_at(full.url(), kRequest));
    EXPECT_LE(full.asked().size(), 10u);
}

TEST(Upnp, AGatewayWithoutAnAddressIsDenied) {
    for (const char* external : {"", "0.0.0.0", "nonsense"}) {
        FakeIgd igd;
        igd.external = external;
        EXPECT_FALSE(upnp_map_at(igd.url(), kRequest)) << external;
    }
}

// Whoever answers SSDP could have us send requests to any machine.
TEST(Upnp, NobodyButTheGatewayIsAsked) {
    FakeIgd igd;
    UpnpRequest request = kRequest;
    request.gateway = *Address::parse("127.0.0.2");
    EXPECT_EQ(upnp_map_at(igd.url(), request).error().code, Code::Denied);
    EXPECT_TRUE(igd.asked().empty());
    FakeIgd elsewhere;
    elsewhere.control_at = "http://127.0.0.10:1/control";
    EXPECT_EQ(upnp_map_at(elsewhere.url(), kRequest).error().code, Code::Denied);
    EXPECT_EQ(elsewhere.asked().size(), 1u);
    EXPECT_EQ(upnp_map_at("http://127.0.0.1@192.0.2.1/", kRequest).error().code, Code::Denied);
    EXPECT_EQ(upnp_map_at("http://127.0.0.1", kRequest).error().code, Code::Denied);
    EXPECT_EQ(upnp_map_at("https://127.0.0.1/", kRequest).error().code, Code::Denied);
}

TEST(Upnp, NoGatewayIsNotFound) {
    EXPECT_EQ(upnp_map_at("http://127.0.0.1:1/", kRequest).error().code, Code::NotFound);
}

}  // namespace
}  // namespace cvlan::reach
