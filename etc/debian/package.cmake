# The Debian package, by CPack. etc/package configures, builds and checks it; the files beside this one are its
# maintainer scripts and what the package says of itself.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME qzd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION}${QZD_PACKAGE_SUFFIX})
set(CPACK_PACKAGE_CONTACT "${QZD_PACKAGER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "daemon that teaches a neural network from its own search")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"qzd plays games against itself in which every move is a tree search with
the current network, keeps each position's search value beside the game's
result in SQLite, and trains the next network against an average of both.
The blend is a setting that may change while it runs.
.
This package holds the daemon as a systemd service, the tool qzctl to ask
and steer it, and suites of positions with known truth. Its first game is
Connect Four. No graphics processor is needed.")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1 CACHE STRING "Debian revision of the package")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What the maintainer scripts call; each of these brings the user, the state directory.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS sqlite3)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${CMAKE_CURRENT_LIST_DIR}/postinst;${CMAKE_CURRENT_LIST_DIR}/prerm;${CMAKE_CURRENT_LIST_DIR}/postrm;${CMAKE_CURRENT_LIST_DIR}/conffiles")
# The tree is installed with DESTDIR, so that /etc is /etc whatever the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/stage.cmake")
set(CPACK_QZD_DEBIAN_DIR "${CMAKE_CURRENT_LIST_DIR}")
include(CPack)
