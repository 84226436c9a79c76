// A web server for the book, on loopback only.

import { createServer } from 'node:http'

const TYPES = {
    css: 'text/css',
    html: 'text/html; charset=utf-8',
    js: 'text/javascript',
    png: 'image/png',
    svg: 'image/svg+xml',
    woff2: 'font/woff2',
}

// `read(path)` gives a file's content, or throws.
export async function serve(read) {
    const server = createServer((request, response) => {
        const path = decodeURIComponent(new URL(request.url, 'http://host').pathname).slice(1)
        // A browser asks for it when it shows a picture alone.
        if (path === 'favicon.ico') {
            response.writeHead(204).end()
            return
        }
        try {
            if (path.split('/').includes('..')) throw new Error('outside the book')
            const content = read(path || 'index.html')
            const type = TYPES[path.split('.').pop()] ?? TYPES.html
            response.writeHead(200, { 'Content-Type': type })
            response.end(content)
        } catch {
            response.writeHead(404)
            response.end()
        }
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
        origin: `http://127.0.0.1:${server.address().port}`,
        close: () => server.close(),
    }
}
