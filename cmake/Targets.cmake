# SPDX-License-Identifier: Apache-2.0
# The three shapes of target: a folder's library, its tests, a fuzzer.

find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core libevent_extra libevent_openssl libevent_pthreads)
pkg_check_modules(MNL IMPORTED_TARGET libmnl)
pkg_check_modules(NL_ROUTE IMPORTED_TARGET libnl-route-3.0 libnl-3.0)
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)
pkg_check_modules(YAMLCPP IMPORTED_TARGET yaml-cpp)

# cvlan_library(kernel-wg DEPENDS netlink LIBS PkgConfig::MNL): every .cc of this folder.
# DEPENDS are the edges of the layer table; scripts/check-layers holds the includes to them.
function(cvlan_library room)
    cmake_parse_arguments(ARG "" "" "DEPENDS;LIBS;SOURCES" ${ARGN})
    string(REPLACE "-" "_" name ${room})
    string(REPLACE "/" "_" name ${name})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
    list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
    if(NOT sources)
        return()
    endif()
    add_library(cvlan_${name} STATIC ${sources} ${ARG_SOURCES})
    target_include_directories(cvlan_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
    foreach(below ${ARG_DEPENDS})
        string(REPLACE "-" "_" below ${below})
        target_link_libraries(cvlan_${name} PUBLIC cvlan_${below})
    endforeach()
    target_link_libraries(cvlan_${name} PUBLIC ${ARG_LIBS})
endfunction()
